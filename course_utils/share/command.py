"""Export from the shell: ``python -m course_utils export my-run/model --web my-page``."""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from course_utils.screen import shell_line, tell
from course_utils.share.onnx import export
from course_utils.share.web import export_page


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a trained network as an ONNX file, or as a web page in which it draws."""

    folder: tyro.conf.Positional[str]
    """The network, as save_model, a run, or save_pretrained has written it."""

    out: tyro.conf.Positional[str]
    """The folder that gets model.onnx, or the page."""

    web: bool = False
    """Write a web page."""

    full: bool = False
    """Keep the weights in full precision, which doubles the file."""

    labels: tuple[str, ...] = ()
    """What its kinds are called, for the page; leave out the last if it stands for no label."""


def main(arguments: Sequence[str]) -> int:
    """Export as the words say.

    Args:
        arguments: The network's folder, the folder to write, and the options.

    Returns:
        0 where it was written.

    Raises:
        Exception: What went wrong; see `export` and `export_page`.
    """
    options = tyro.cli(Options, prog="python -m course_utils export", args=arguments)
    half = not options.full
    if options.web:
        page = export_page(options.folder, options.out, labels=options.labels or None, half=half)
        see = shell_line("--directory", page.parent, program="http.server")
        tell(f"The page is {page}. See it: {see}")
        return 0
    found = export(options.folder, options.out, half=half)
    tell(f"{found.path}: {found.size / 1e6:.1f} MB; off by {found.off:.1g} of the largest number")
    if found.rounding:
        tell(f"Half precision has changed answers by {found.rounding:.1g} of the largest number")
    return 0
