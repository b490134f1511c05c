"""Where a result comes from: command, commit, versions, machine."""

import platform
import shlex
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

from nars.machine import cores

PACKAGES = ("torch", "torchvision", "pytorch-lightning", "timm", "numpy", "scipy", "scikit-learn")


def command_line() -> str:
    """The command that this process was started with."""
    return shlex.join(["python", *sys.argv])


@cache
def git_commit() -> str | None:
    """The commit of this code, with `+changes` if tracked files differ from it; None outside a git clone."""
    here = Path(__file__)
    try:
        _, commit, changes = (
            subprocess.run(["git", *arguments], cwd=here.parent, capture_output=True, text=True, check=True).stdout
            for arguments in (
                ["ls-files", "--error-unmatch", here.name],  # an installed copy may lie in another project's clone
                ["rev-parse", "HEAD"],
                ["status", "--porcelain", "--untracked-files=no"],
            )
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit.strip() + ("+changes" if changes else "")


@cache
def versions() -> dict[str, str]:
    """Python's version and those of the packages that decide results."""
    return {"python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def machine() -> str:
    """System, processor and number of cores that this process may use."""
    return f"{platform.system()} {platform.machine()}, {cores()} cores"
