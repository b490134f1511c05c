"""Files written whole or not at all, and read; short digests of files and of contents; where conf/ lies."""

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import yaml

from nars.errors import UserError, disk_error

_HERE = Path(__file__).parent
CONF = next(path for path in (_HERE / "conf", _HERE.parent / "conf") if path.is_dir())  # installed; in a clone

NOT_SUPPORTED = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}
NAME_PART = 32  # characters of a file's name in that of the temporary one, which may be no longer than names may be


class NumberLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # libyaml's where it was built in: ten times as fast
    """Reads YAML that people write, with the numbers of configuration files: Hydra's has 1e-5, YAML 1.1 only 1.0e-5."""


NumberLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write so that a reader sees the old file or the new one, never a part, even if the power fails; makes the
    folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:NAME_PART]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            sync(file)
        with suppress(OSError):  # some disks have no permissions, or let nobody change them
            os.chmod(temporary, 0o644)
        replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def sync(file) -> None:
    """Wait until an open file is on disk, where the file system can tell; OSError if it cannot get there."""
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            raise


def replace(temporary: str | Path, path: Path) -> None:
    """Give a temporary file its name, at once where the file system can; where it cannot put a file in the place of
    another, the content is copied."""
    try:
        os.replace(temporary, path)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED | {errno.EEXIST}:
            raise
        shutil.copyfile(temporary, path)
        os.unlink(temporary)


def new_folder(path: Path) -> Path:
    """A folder that was made by this call alone: `path`, or with the first number that is free, `path-2` and so on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, folder = 1, path
    while True:
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            folder = path.with_name(f"{path.name}-{number}")
        else:
            return folder


def digest(path: Path) -> str:
    """16 hexadecimal digits that stand for the content of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def content_key(content) -> str:
    """Hash (16 hex digits) of plain containers, independent of key order."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def make_study_folder(runs_dir: str, study: str) -> Path:
    """The folder of a study, made if it is not there and found to be writable; UserError if it can never be made,
    OSError if the disk is full or forbidden."""
    folder = Path(runs_dir) / study
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        if disk_error(error) is not None:
            raise
        raise UserError(f"runs_dir={runs_dir}: {folder} cannot be made ({error.strerror}); give another") from None
    return folder
