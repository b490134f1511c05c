"""Files that are whole, on disks that cannot do everything."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nars.errors import UserError
from nars.files import make_study_folder, new_folder, write_whole


def refusing(number: int):
    """A function of the system that a file system does not have."""

    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.mark.parametrize(
    ("function", "number"),
    [
        ("chmod", errno.EPERM),
        ("chmod", errno.ENOTSUP),
        ("fsync", errno.EINVAL),
        ("fsync", errno.ENOTSUP),
        ("replace", errno.EEXIST),
        ("replace", errno.ENOSYS),
    ],
)
def test_what_a_disk_cannot_do_is_done_without(tmp_path, monkeypatch, function, number):
    path = tmp_path / "new" / "file"
    monkeypatch.setattr(os, function, refusing(number))
    for content in ("first", b"second"):
        write_whole(path, content)
        assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("function", "number"), [("fsync", errno.EIO), ("fsync", errno.ENOSPC), ("replace", errno.EACCES)]
)
def test_what_fails_leaves_the_old_file(tmp_path, monkeypatch, function, number):
    path = tmp_path / "file"
    write_whole(path, "old")
    monkeypatch.setattr(os, function, refusing(number))
    with pytest.raises(OSError, match=os.strerror(number)):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("letter", ["x", "\N{LATIN SMALL LETTER E WITH ACUTE}"])
def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path, letter):
    path = tmp_path / (letter * (255 // len(letter.encode())))
    write_whole(path, "content")
    assert path.read_text() == "content"


def test_of_many_that_want_a_new_folder_each_gets_its_own(tmp_path):
    wanted = tmp_path / "sweeps" / "now"
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(new_folder, [wanted] * 24))
    assert {Path(folder).name for folder in made} == {"now", *(f"now-{n}" for n in range(2, 25))}
    assert all(folder.is_dir() for folder in made)


def test_a_study_whose_folder_can_never_be_made_is_one_line(tmp_path):
    assert make_study_folder(str(tmp_path / "runs"), "mine") == tmp_path / "runs" / "mine"
    assert (tmp_path / "runs" / "mine").is_dir()
    assert not list((tmp_path / "runs" / "mine").iterdir())
    with pytest.raises(UserError, match=r"^runs_dir=/proc/x: /proc/x/mine cannot be made \(No such file"):
        make_study_folder("/proc/x", "mine")
