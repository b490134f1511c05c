"""Image files in class folders: listing, reading, augmentation."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, has_file_allowed_extension, make_dataset
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional

from nars.data.loaders import BatchDataset, Draw, ImageData, check_augmentation
from nars.errors import UserError
from nars.spaces.candidate import content_key

CROP_FRACTION = 0.875  # of the resized short side, as timm evaluates
PART_NAMES = {"train", "training", "val", "valid", "validation", "test"}

# --- listing --------------------------------------------------------------------------------------------------


def list_classes(root: Path, *, where: str) -> list[str]:
    """The names of the class folders under `root`, sorted; UserError, naming the setting `where`, if there are none."""
    if not root.is_dir():
        problem = "is a file, not a folder (unpack an archive first)" if root.exists() else "does not exist"
        raise UserError(f"{where}: {root} {problem}; give a folder that holds one folder of images per class")
    try:
        classes = [name for name in find_classes(root)[0] if not name.startswith(".")]
    except FileNotFoundError:
        classes = []
    except OSError as error:
        raise UserError(f"{where}: {root} cannot be listed ({error.strerror}); check its permissions") from None
    if not classes:
        raise UserError(f"{where}: {root} holds no class folders; expected {root}/<class>/<image>")
    if set(classes) <= PART_NAMES:
        wanted = "val" if where.endswith("val_root") else "train"
        example = root / next((name for name in classes if name.startswith(wanted)), classes[0])
        raise UserError(
            f"{where}: {root} holds {', '.join(classes)} instead of one folder per class; "
            f"give one of these folders ({where}={example})"
        )
    return classes


def list_images(root: Path, classes: Sequence[str], *, where: str, at_least: int = 1) -> dict[str, list[str]]:
    """For each class the names of its images, relative to `root`, in a fixed order, at any depth below its folder.

    UserError names the first class with fewer than `at_least` images.
    """
    index = {name: i for i, name in enumerate(classes)}
    images: dict[str, list[str]] = {name: [] for name in classes}
    prefix = os.path.join(root, "")  # not Path.relative_to: too slow for a million images
    for path, label in make_dataset(str(root), index, is_valid_file=_is_image, allow_empty=True):
        images[classes[label]].append(path.removeprefix(prefix).replace(os.sep, "/"))
    short = [name for name in classes if len(images[name]) < at_least]
    if short:
        found = f"{len(images[short[0]])} image" if images[short[0]] else "no images"
        others = len(short) - 1
        more = f", and {others} more class{'es' * (others > 1)} like it" if others else ""
        raise UserError(
            f"{where}: class folder {root / short[0]} holds {found} ({' '.join(IMG_EXTENSIONS)}), "
            f"needed {at_least}{more}; add images or remove the folder"
        )
    return images


def _is_image(path: str) -> bool:
    name = os.path.basename(path)
    return has_file_allowed_extension(name, IMG_EXTENSIONS) and not name.startswith(".")  # "._x.jpg": macOS leftovers


# --- reading --------------------------------------------------------------------------------------------------


def load_image(path: str | os.PathLike) -> Image.Image:
    """The image as upright RGB, transparency over white; UserError names an image that cannot be read."""
    try:
        with Image.open(path) as image:
            return to_rgb(upright(image))
    except MemoryError:
        raise
    except Exception as error:  # a decoder meets a broken file with nearly any type of exception
        reason = " ".join(str(error).replace(repr(str(path)), "").split()) or type(error).__name__
        raise UserError(f"{path} cannot be read as an image ({reason}); replace or remove this file") from error


def upright(image: Image.Image) -> Image.Image:
    """The image turned as its EXIF orientation says."""
    if image.getexif().get(ExifTags.Base.Orientation, 1) == 1:
        return image
    return ImageOps.exif_transpose(image)


def to_rgb(image: Image.Image) -> Image.Image:
    """The image in three channels of 8 bits, transparency over white."""
    if image.mode.startswith("I;16"):  # `convert` would clip 16 bits to 8
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


# --- augmentation ---------------------------------------------------------------------------------------------
# From uint8 tensors to uint8 tensors: resizing them takes half the time that Pillow takes, for the same pixels.


def val_transform(image_size: int) -> list:
    """Short side to image_size / 0.875, then the centre, as timm evaluates."""
    return [v2.Resize(int(image_size / CROP_FRACTION), InterpolationMode.BICUBIC), v2.CenterCrop(image_size)]


def standard_transform(image_size: int) -> list:
    """A random part of 8 to 100 % of the area, mirrored or not."""
    return [v2.RandomResizedCrop(image_size, interpolation=InterpolationMode.BICUBIC), v2.RandomHorizontalFlip()]


def autoaugment_transform(image_size: int) -> list:
    """Standard, then a policy that AutoAugment found on ImageNet; what it moves out leaves the mean colour.

    By Pillow: faster here, and in integers, while the mean that a tensor's contrast needs varies with the threads.
    """
    fill = [round(255 * mean) for mean in IMAGENET_DEFAULT_MEAN]
    policy = v2.AutoAugment(interpolation=InterpolationMode.BILINEAR, fill=fill)
    return [*standard_transform(image_size), v2.ToPILImage(), policy, v2.PILToTensor()]


AUGMENTATIONS = {"none": val_transform, "standard": standard_transform, "autoaugment": autoaugment_transform}


# --- images ---------------------------------------------------------------------------------------------------


class FileSet(BatchDataset):
    """Images read from files under `root` at every access, transformed, normalised with ImageNet's statistics."""

    def __init__(self, root: Path, names: Sequence[str], labels: Sequence[int], transforms: list):
        self.root = root
        # An array, not a list: reference counts of a million strings would copy the list into every worker.
        self.names = np.array(names)
        self.labels = torch.tensor(labels, dtype=torch.int64)
        self.transform = v2.Compose([v2.PILToTensor(), *transforms])

    def __len__(self) -> int:
        return len(self.labels)

    def image(self, draw: Draw) -> torch.Tensor:
        """One image, uint8 (3, s, s); its augmentation depends on its seed only."""
        image = load_image(self.root / str(self.names[draw.index]))
        # Transforms draw from torch's global CPU generator, and from that one only.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(draw.seed)
            return self.transform(image)

    def batch(self, draws: Sequence[Draw]) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.stack([self.image(draw) for draw in draws])
        images = functional.to_dtype(images, torch.float32, scale=True)
        images = functional.normalize(images, IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, inplace=True)
        return images, self.labels[[draw.index for draw in draws]]


class ImageFiles(ImageData):
    """Train and validation images as names relative to a root each, by class; `name` is the data's in messages."""

    def __init__(
        self,
        *,
        name: str,
        train_root: Path,
        train: Mapping[str, Sequence[str]],
        val_root: Path,
        val: Mapping[str, Sequence[str]],
    ):
        assert list(train) == list(val), "train and validation must have the same classes in the same order"
        self.name = name
        self.class_names = tuple(train)
        self._train = (train_root, *_flat(train.values()))
        self._val = (val_root, *_flat(val.values()))
        self.train_size = len(self._train[1])
        self.val_size = len(self._val[1])
        # Names do not tell resized copies of one collection apart; the sizes of a few files do, and cost little.
        sizes = [os.path.getsize(train_root / names[0]) for names in train.values()]
        self.fingerprint = content_key({"train": train, "val": val, "sizes": sizes})

    def train_set(self, *, image_size: int, augmentation: str) -> FileSet:
        check_augmentation(augmentation, tuple(AUGMENTATIONS), name=self.name)
        return FileSet(*self._train, AUGMENTATIONS[augmentation](image_size))

    def val_set(self, *, image_size: int) -> FileSet:
        return FileSet(*self._val, val_transform(image_size))


def _flat(names_by_class: Iterable[Sequence[str]]) -> tuple[list[str], list[int]]:
    pairs = [(name, label) for label, names in enumerate(names_by_class) for name in names]
    return [name for name, _ in pairs], [label for _, label in pairs]
