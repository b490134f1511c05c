"""Small image folders, written with Pillow."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_images():
    """A function that writes `{class: number of images}` as noise of 24x20 pixels, in the order given."""

    def make(root: Path, sizes: dict[str, int], *, backwards: bool = False) -> Path:
        for name, size in sizes.items():
            (root / name).mkdir(parents=True, exist_ok=True)
            for i in reversed(range(size)) if backwards else range(size):
                rng = np.random.default_rng([i, *name.encode()])
                pixels = rng.integers(256, size=(20, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(root / name / f"{name}_{i}.JPEG", quality=95)
        return root

    return make
