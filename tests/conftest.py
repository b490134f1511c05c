"""The shipped spaces and candidates, for all tests; and disks that are small or cannot be written."""

import subprocess
from pathlib import Path

import pytest
import torch
import yaml

from nars.settings import ArchitectureSpaceSettings, RecipeSpaceSettings, parse
from nars.spaces.architecture import ArchitectureSpace
from nars.spaces.candidate import JointSpace
from nars.spaces.recipe import recipe_space

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def conf():
    """A function: the values of the YAML file conf/group/name.yaml."""
    return lambda group, name: yaml.safe_load((CONF / group / f"{name}.yaml").read_text())


@pytest.fixture(scope="session")
def fbnetv3(conf):
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, conf("search_space", "fbnetv3")))


@pytest.fixture(scope="session")
def tiny(conf):
    return ArchitectureSpace(parse(ArchitectureSpaceSettings, conf("search_space", "tiny")))


@pytest.fixture(scope="session")
def fbnetv3_recipes(conf):
    return recipe_space(parse(RecipeSpaceSettings, conf("recipe_space", "fbnetv3")))


@pytest.fixture(scope="session")
def tiny_recipes(conf):
    return recipe_space(parse(RecipeSpaceSettings, conf("recipe_space", "tiny")))


@pytest.fixture(scope="session")
def tiny_joint(tiny, tiny_recipes):
    return JointSpace(tiny, tiny_recipes)


@pytest.fixture(scope="session")
def fbnetv3_joint(fbnetv3, fbnetv3_recipes):
    return JointSpace(fbnetv3, fbnetv3_recipes)


@pytest.fixture(params=["fbnetv3", "tiny"])
def architecture_space(request):
    """Both shipped architecture spaces in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture(params=["fbnetv3_joint", "tiny_joint"])
def joint(request):
    """Both shipped joint spaces in turn."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def mount_disk(tmp_path):
    """A function: a new disk in memory, mounted with options such as "size=64k" or "ro"; skips where it may not."""
    mounted = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a disk in memory needs root on Linux")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
