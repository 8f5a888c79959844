"""Files are written whole, told apart by their bytes, and kept where the user wants them."""

import os
import re
import warnings
from pathlib import Path

import platformdirs
import pytest
import torch

from course_utils import files
from course_utils.files import cache_folder, digest, fingerprint, spelled_out, write_whole


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv("COURSE_CACHE", raising=False)
    files._temporary.cache_clear()
    yield
    files._temporary.cache_clear()


@pytest.fixture
def users_cache(monkeypatch):
    """Sets the folder that platformdirs finds."""

    def set_to(path):
        monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: Path(path))

    return set_to


def test_the_cache_is_the_users_own_unless_another_is_chosen(monkeypatch, tmp_path, users_cache):
    users_cache(tmp_path / ".cache" / "course-utils")
    assert cache_folder() == tmp_path / ".cache" / "course-utils"
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"


def test_the_users_cache_is_asked_of_platformdirs_by_the_courses_name(monkeypatch, tmp_path):
    asked = []
    answer = lambda *given, **named: asked.append((given, named)) or tmp_path  # noqa: E731
    monkeypatch.setattr(platformdirs, "user_cache_path", answer)
    cache_folder()
    assert asked == [(("course-utils",), {"appauthor": False})]


def test_a_tilde_is_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~", str(tmp_path), 1))
    monkeypatch.setenv("COURSE_CACHE", "~/kept")
    assert cache_folder() == tmp_path / "kept"


@pytest.mark.parametrize("path", ["", " ", "a\0b"])
def test_what_can_be_no_path_is_named(path):
    says = f"^the album is {re.escape(repr(path))}, which can be no path. Give that of a folder"
    with pytest.raises(ValueError, match=says):
        spelled_out("the album", path)


@pytest.mark.parametrize("path", [None, 3, True, b"x"])
def test_what_is_no_path_is_named(path):
    with pytest.raises(TypeError, match=f"^the album is {path!r}; it must be a path: a str or"):
        spelled_out("the album", path)


def test_paths_without_a_tilde_stay_as_they_are(tmp_path):
    for path in (".", "a/~b", str(tmp_path), "a/../b"):
        assert str(spelled_out("the album", path)) == str(Path(path))
    assert spelled_out("the album", tmp_path) == tmp_path


@pytest.mark.parametrize("home", ["~nobody", "/no/such/home/at/all"])
def test_a_tilde_that_leads_nowhere_is_a_clear_error(monkeypatch, home):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path.replace("~nobody", home, 1))
    monkeypatch.setenv("COURSE_CACHE", "~nobody/x")
    with pytest.raises(ValueError, match=r"COURSE_CACHE is '~nobody/x'.*unset"):
        cache_folder()


@pytest.mark.parametrize("folder", ["~/.cache/course-utils", "{file}/.cache/course-utils"])
def test_without_a_home_the_cache_is_temporary_and_said_once(tmp_path, users_cache, folder):
    """platformdirs leaves the ``~`` where a user has no name; a home may be no folder."""
    (tmp_path / "file").touch()
    users_cache(folder.format(file=tmp_path / "file"))
    with pytest.warns(UserWarning, match="COURSE_CACHE"):
        first = cache_folder()
    write_whole(first / "kept", b"1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache_folder() == first
    assert (first / "kept").read_bytes() == b"1"


def test_a_user_without_a_name_gets_a_temporary_cache(monkeypatch):
    def unknown(*_, **__):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(platformdirs, "user_cache_path", unknown)
    with pytest.warns(UserWarning, match="COURSE_CACHE"):
        assert cache_folder().is_dir()


def test_a_home_that_cannot_be_written_gives_way_but_a_cache_in_it_is_used(
    monkeypatch, tmp_path, users_cache
):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    users_cache(tmp_path / "course-utils")
    with pytest.warns(UserWarning, match="COURSE_CACHE"):
        assert cache_folder() != tmp_path / "course-utils"
    (tmp_path / "course-utils").mkdir()
    assert cache_folder() == tmp_path / "course-utils"


def test_a_written_file_is_whole_and_replaces_the_older_one(tmp_path):
    path = tmp_path / "new" / "file"
    for content in (b"first", b"second, longer", b""):
        write_whole(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_on_the_disk_before_it_has_its_name_and_then_the_name(monkeypatch, tmp_path):
    happened = []
    fsync, replace = os.fsync, Path.replace

    def synced(handle):
        happened.append("file" if os.fstat(handle).st_size == 3 else "folder")
        fsync(handle)

    def replaced(self, target):
        happened.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    write_whole(tmp_path / "file", b"abc")
    assert happened == ["file", "name", "folder"][: 2 if os.name == "nt" else 3]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(monkeypatch, tmp_path, failing):
    def fail(*_):
        raise OSError(28, "No space left on device")

    path = tmp_path / "file"
    write_whole(path, b"old")
    monkeypatch.setattr(os if failing == "fsync" else Path, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_fingerprint_is_of_bytes_their_order_and_their_borders(tmp_path):
    (tmp_path / "file").write_bytes(b"ab\r\n")
    same = fingerprint(b"ab\r\n", b"c")
    assert fingerprint(tmp_path / "file", memoryview(b"c")) == same
    others = [(b"ab\n", b"c"), (b"c", b"ab\r\n"), (b"ab\r\nc",), (b"ab\r\nc", b"")]
    assert len({same, *(fingerprint(*parts) for parts in others)}) == 5
    assert len(same) == 64


def test_a_digest_is_of_names_types_shapes_and_bytes():
    zeros = torch.zeros(2, 2)
    same = {"a": zeros, "b": torch.tensor(True)}
    others = [
        {"a": zeros},
        {"b": zeros, "a": torch.tensor(True)},
        same | {"a": zeros.view(4)},
        same | {"a": zeros.int()},
        same | {"a": torch.eye(2)},
        same | {"b": torch.tensor(False)},
    ]
    assert digest(dict(reversed(same.items()))) == digest(same)
    assert len({digest(tensors) for tensors in [same, *others]}) == 7
    assert digest({"a": torch.eye(3)[:, 1:]}) == digest({"a": torch.eye(3)[:, 1:].contiguous()})
