"""Your own images: one folder per class."""

from pathlib import Path

from nars.data.files import ImageFiles
from nars.data.names import beside, shown
from nars.data.splits import few, hold_out, val_total
from nars.data.walk import Walk
from nars.errors import UserError
from nars.settings import FolderSettings


def open_folder(settings: FolderSettings) -> ImageFiles:
    """The images under `root`; those under `val_root` validate, or `val_fraction` of each class under `root`."""
    root, walk = Path(settings.root), Walk()
    classes = walk.classes(root, where="data.root")
    if len(classes) < 2:
        only = shown(classes[0])
        raise UserError(f"data.root: {root} holds one class folder, {only}; training needs at least two classes")
    if settings.val_root is None:
        images = walk.images(root, classes, where="data.root", at_least=2)
        total = val_total(sum(map(len, images.values())), len(classes), settings.val_fraction)
        held_out = hold_out(list(images.values()), total, seed=settings.seed)
        val_root, val = root, dict(zip(classes, held_out, strict=True))
        train = {name: sorted(set(images[name]) - set(val[name])) for name in classes}
    else:
        val_root = Path(settings.val_root)
        _check_same_classes(root, classes, val_root, walk.classes(val_root, where="data.val_root"))
        val = walk.images(val_root, classes, where="data.val_root")  # first: what validates is not trained on
        train = walk.images(root, classes, where="data.root")
    if settings.shots is not None:
        train = {name: few(files, settings.shots, seed=settings.seed) for name, files in train.items()}
    return ImageFiles(
        name="folder", train_root=root, train=train, val_root=val_root, val=val, passed_over=str(walk.passed_over)
    )


def open_whole_folder(settings: FolderSettings) -> ImageFiles:
    """All images under `root` to validate with, and nothing held out to train with."""
    root, walk = Path(settings.root), Walk()
    images = walk.images(root, walk.classes(root, where="data.root"), where="data.root")
    return ImageFiles(
        name="folder", train_root=root, train=images, val_root=root, val=images, passed_over=str(walk.passed_over)
    )


def _check_same_classes(root: Path, classes: list[str], val_root: Path, val_classes: list[str]) -> None:
    if val_root.resolve() == root.resolve():
        raise UserError(
            f"data.val_root: {val_root} is data.root itself; give other images, or null to hold data.val_fraction out"
        )
    for there, held, missing in (
        (root, classes, sorted(set(val_classes) - set(classes))),
        (val_root, val_classes, sorted(set(classes) - set(val_classes))),
    ):
        if not missing:
            continue
        other, name = val_root if there == root else root, beside(missing[0], held)
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"data.val_root: class {name}{more} of {other} is not in {there}; both must hold the same class folders"
        )
