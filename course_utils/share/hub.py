"""Share a saved model on the Hugging Face Hub, and lose nothing when that fails.

The model lies complete in a folder of yours before anything is sent
(`course_utils.share.folder`).
Your token is taken from where ``hf auth login`` keeps it; there is no argument for it, so that
it cannot end up in a notebook.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from course_utils.files import spelled_out, write_whole
from course_utils.share.folder import WEIGHTS, HubError, load_saved

PARTS = (
    *("README.md", "card.json", "model_index.json", "samples.png", "training.json"),
    *("scheduler/*", "unet/*"),
)
"""What leaves your machine. Checkpoints, logs and all else in the folder stay."""

_REMEDIES = {
    401: "The Hub does not know your token. Log in again: hf auth login",
    403: "Your token may not write there. Is the name before the slash yours, and does the token "
    "have the 'write' permission? See https://huggingface.co/settings/tokens",
    404: "There is no such place, or your token may not see it.",
    409: "Somebody is changing it at this moment. Wait a minute, then run the same line again.",
    429: "You asked too often. Wait some minutes, then run the same line again.",
}


def push_to_hub(
    folder: str | os.PathLike[str],
    repo_id: str | None = None,
    *,
    private: bool = False,
    update: bool = False,
) -> str:
    """Send a saved model to the Hub.

    Args:
        folder: What `course_utils.share.save_model` returned.
        repo_id: ``"name"`` for your own account, or ``"owner/name"``; None stands for the
            folder's name.
        private: Whether the page is to be seen by you alone.
        update: Whether to add a new version if there is a model of that name already. The
            old versions stay in the page's history. An upload that broke off goes on
            without it.

    Returns:
        The address of the model's page.

    Raises:
        HubError: The folder is not complete or does not load, nobody is logged in, the Hub
            cannot be reached, it refuses, or the upload broke off. The folder is always kept.

    Source:
        ``huggingface_hub.HfApi.create_repo`` and ``upload_folder``, which replaced the tutorial's
        ``Repository``.

    Chapter: 4, "Share it".
    """
    from huggingface_hub import HfApi, get_token

    folder = spelled_out("folder", folder)
    _check_complete(folder)
    token = get_token()
    if token is None:
        raise HubError(
            "Nobody is logged in to the Hugging Face Hub. Make a token with the 'write' "
            "permission at https://huggingface.co/settings/tokens, then run in a terminal: "
            f"hf auth login\n{_kept(folder)}"
        )
    _check_no_token(folder, token)
    load_saved(folder)
    api = HfApi(token=token)
    wanted = repo_id or folder.resolve().name
    try:
        url, full_name = _create(api, wanted, private, update)
        _name_in_card(folder / "README.md", full_name)
        api.upload_folder(
            repo_id=full_name,
            folder_path=folder,
            allow_patterns=list(PARTS),
            commit_message="Upload the model, its card and its samples",
        )
    except HubError as error:
        raise HubError(f"{error}\n{_kept(folder)}") from None
    except Exception as error:
        # No "from error": a library's message might repeat what was sent, and so the token.
        told = _explain(error, wanted).replace(token, "<your token>")
        raise HubError(f"{told}\n{_kept(folder)}") from None
    return url


def _create(api: Any, wanted: str, private: bool, update: bool) -> tuple[str, str]:
    """Make the repository, or take one that is there if that overwrites nothing unasked."""
    from huggingface_hub.errors import HfHubHTTPError

    try:
        url = api.create_repo(wanted, private=private)
        return str(url), url.repo_id
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
    full_name = wanted if "/" in wanted else f"{api.whoami()['name']}/{wanted}"
    if not update and WEIGHTS in api.list_repo_files(full_name):
        raise HubError(
            f"There is a model {full_name} already. Choose another name, or add a new version "
            "to it with update=True."
        )
    return f"{api.endpoint}/{full_name}", full_name


def _check_complete(folder: Path) -> None:
    """Refuse a folder from which nobody could load a model."""
    wanted = ("model_index.json", WEIGHTS, "unet/config.json", "README.md")
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        raise HubError(
            f"{folder} is not a saved model: it lacks {', '.join(missing)}. "
            "Save first: save_model(folder, …), then share."
        )


def _check_no_token(folder: Path, token: str) -> None:
    """Refuse to publish a file that holds the reader's token."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".md", ".json") and token.encode() in path.read_bytes():
            raise HubError(
                f"{path} contains your Hugging Face token. Take it out, and make a new token: "
                "this one must be regarded as known to others. Nothing was sent."
            )


def _name_in_card(card: Path, full_name: str) -> None:
    """Let the card's example load the model from where it will be."""
    text = card.read_text(encoding="utf-8")
    named = re.sub(r'^MODEL = ".*"$', f'MODEL = "{full_name}"', text, flags=re.M)
    if named != text:
        write_whole(card, named.encode())


def _kept(folder: Path) -> str:
    """The line that every failure ends with."""
    return f"Nothing is lost: the model is complete in {folder.resolve()}."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those behind it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _token_variable() -> str | None:
    """The environment variable that the token comes from, if it comes from one.

    Source:
        The order in which ``huggingface_hub.get_token`` looks.
    """
    names = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
    return next((name for name in names if os.environ.get(name, "").strip()), None)


def _explain(error: Exception, wanted: str) -> str:
    """Say in the reader's words what went wrong, and what to do."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    again = "Then run the same line again; it goes on where it broke off."
    for cause in _chain(error):
        if isinstance(cause, HFValidationError):
            return f"{wanted!r} cannot be a name on the Hub: {cause}"
        if isinstance(cause, OfflineModeIsEnabled):
            return f"HF_HUB_OFFLINE is set, so nothing may be sent. Unset it. {again}"
        if isinstance(cause, HfHubHTTPError):
            status = cause.response.status_code
            remedy = _REMEDIES.get(status, f"That is for the Hub to mend. Wait. {again}")
            variable = _token_variable()
            if status == 401 and variable:
                remedy = (
                    f"The Hub does not know the token in the environment variable {variable}, "
                    "which wins over the login that 'hf auth login' stores. Unset it (or put a "
                    f"valid token in it), start Python anew, and log in: hf auth login. {again}"
                )
            return f"The Hub answered {status} for {wanted!r}: {cause.server_message}. {remedy}"
    return (
        "The Hub could not be reached, or the connection broke off "
        f"({type(error).__name__}: {error}). Check the network. {again}"
    )
