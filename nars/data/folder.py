"""Your own images: one folder per class."""

from pathlib import Path

from nars.data.files import ImageFiles, list_classes, list_images
from nars.data.splits import hold_out, val_total
from nars.errors import UserError
from nars.settings import FolderSettings


def open_folder(settings: FolderSettings) -> ImageFiles:
    """The images under `root`; those under `val_root` validate, or `val_fraction` of each class under `root`."""
    root = Path(settings.root)
    classes = list_classes(root, where="data.root")
    if len(classes) < 2:
        raise UserError(f"data.root: {root} holds one class folder, {classes[0]}; training needs at least two classes")
    if settings.val_root is None:
        images = list_images(root, classes, where="data.root", at_least=2)
        total = val_total(sum(map(len, images.values())), len(classes), settings.val_fraction)
        val = dict(zip(classes, hold_out(list(images.values()), total, seed=settings.seed), strict=True))
        train = {name: sorted(set(images[name]) - set(val[name])) for name in classes}
        return ImageFiles(name="folder", train_root=root, train=train, val_root=root, val=val)

    val_root = Path(settings.val_root)
    _check_same_classes(root, classes, val_root, list_classes(val_root, where="data.val_root"))
    train = list_images(root, classes, where="data.root")
    val = list_images(val_root, classes, where="data.val_root")
    return ImageFiles(name="folder", train_root=root, train=train, val_root=val_root, val=val)


def open_whole_folder(settings: FolderSettings) -> ImageFiles:
    """All images under `root` to validate with, and nothing held out to train with."""
    root = Path(settings.root)
    images = list_images(root, list_classes(root, where="data.root"), where="data.root")
    return ImageFiles(name="folder", train_root=root, train=images, val_root=root, val=images)


def _check_same_classes(root: Path, classes: list[str], val_root: Path, val_classes: list[str]) -> None:
    if val_root.resolve() == root.resolve():
        raise UserError(
            f"data.val_root: {val_root} is data.root itself; give other images, or null to hold data.val_fraction out"
        )
    for there, missing in ((root, set(val_classes) - set(classes)), (val_root, set(classes) - set(val_classes))):
        if missing:
            other = val_root if there == root else root
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(
                f"data.val_root: class {min(missing)}{more} of {other} is not in {there}; "
                f"both must hold the same class folders"
            )
