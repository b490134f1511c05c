"""The walk over image folders: which files are images of which class, and what is passed over.

Every real folder and file counts once, however many links lead there: a training image under another name would
validate what it was trained on. What systems and programs leave among images is none: hidden files and folders,
thumbnails, bins. What is passed over is counted, so that it can be said.
"""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nars.data.names import difference, first_alike, shown
from nars.data.reading import EXTENSIONS
from nars.errors import UserError

PART_NAMES = {"train", "training", "val", "valid", "validation", "test"}
# In lower case: of Synology, QNAP and other network disks, then of macOS, Windows, Linux and Python.
SYSTEM_NAMES = {
    *("@eadir", "@tmp", "@sharebin", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "~snapshot"),
    *("__macosx", "network trash folder", "temporary items", "icon\r"),
    *("$recycle.bin", "system volume information", "found.000", "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db"),
    *("desktop.ini", "lost+found", "__pycache__"),
}
SHOWN = 8  # kinds of files that are named

HIDDEN = "hidden"
AGAIN = "listed before under another name"
BROKEN = "broken links"
OUTSIDE = "images outside class folders"
NEITHER = "neither file nor folder"


@dataclass(frozen=True)
class PassedOver:
    """What a walk left out, counted by kind."""

    extensions: Counter[str] = field(default_factory=Counter)  # of files that are no images
    system: Counter[str] = field(default_factory=Counter)  # by their names
    others: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """In one line; empty if nothing was left out."""
        parts = [f"{what}: {number:,}" for what, number in sorted(self.others.items())]
        for what, counts in (("system files and folders", self.system), ("no images by name", self.extensions)):
            if counts:
                parts.insert(0, f"{what}: {counts.total():,} ({kinds(counts)})")
        return f"passed over among the images: {'; '.join(parts)}" if parts else ""


def kinds(counts: Counter[str]) -> str:
    """The most frequent first: `12 .heic, 3 .txt`."""
    most = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = sum(number for _, number in most[SHOWN:])
    return ", ".join(f"{number:,} {shown(kind)}" for kind, number in most[:SHOWN]) + f", {rest:,} others" * (rest > 0)


def extension(name: str) -> str:
    """In lower case, with its dot."""
    return os.path.splitext(name)[1].lower() or "without extension"


def is_passed_over(name: str) -> bool:
    """Whether files and folders of this name are left out: hidden ones, and those of systems."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


class Walk:
    """The walk over the folders of one data set: what was found in one is passed over in the next."""

    def __init__(self):
        self.passed_over = PassedOver()
        self._folders: set[str] = set()  # real paths
        self._linked: set[str] = set()  # real paths of files that were found through links
        self._inodes: dict[int, tuple[str, str]] = {}  # of other files: the first (folder, name)

    # --- classes ----------------------------------------------------------------------------------------------

    def classes(self, root: Path, *, where: str) -> list[str]:
        """The names of the class folders under `root`, sorted; UserError, naming the setting `where`, if there are
        none, or two that look the same.
        """
        if not root.is_dir():
            problem = "is a file, not a folder (unpack an archive first)" if root.exists() else "does not exist"
            raise UserError(f"{where}: {root} {problem}; give a folder that holds one folder of images per class")
        classes = sorted(self._class_folders(root, where))
        if not classes:
            raise UserError(f"{where}: {root} holds no class folders; expected {root}/<class>/<image>")
        if set(classes) <= PART_NAMES:
            wanted = "val" if where.endswith("val_root") else "train"
            example = root / next((name for name in classes if name.startswith(wanted)), classes[0])
            raise UserError(
                f"{where}: {root} holds {', '.join(classes)} instead of one folder per class; "
                f"give one of these folders ({where}={example})"
            )
        alike = first_alike(classes)
        if alike is not None:
            raise UserError(
                f"{where}: {root} holds class folders that look the same, {alike[0]!a} and {alike[1]!a}, "
                f"which differ {difference(*alike)}; merge them or rename one"
            )
        return classes

    def _class_folders(self, root: Path, where: str) -> Iterable[str]:
        """A link counts unless it leads to another class or to where `root` lies in."""
        folders = []
        for entry in self._entries(root, where):
            if entry.is_dir():
                folders.append(entry)
            elif not os.path.exists(entry.path):
                self.passed_over.others[BROKEN] += 1
            elif extension(entry.name) in EXTENSIONS:
                self.passed_over.others[OUTSIDE] += 1
        taken = _with_parents(root)
        for entry in sorted(folders, key=os.DirEntry.is_symlink):
            real = os.path.realpath(entry.path)
            if real in taken:
                self.passed_over.others[AGAIN] += 1
            else:
                taken.add(real)
                yield entry.name

    # --- images -----------------------------------------------------------------------------------------------

    def images(self, root: Path, classes: Sequence[str], *, where: str, at_least: int = 1) -> dict[str, list[str]]:
        """For each class the names of its images, relative to `root`, in a fixed order, at any depth below its folder.

        UserError names the first class with fewer than `at_least` images.
        """
        found: dict[str, list[tuple[str, str]]] = {name: [] for name in classes}
        links, real_root = [], os.path.realpath(root)
        for name in classes:
            folder = os.path.join(root, name)
            if os.path.islink(folder):
                links.append((folder, name))
            else:
                links += self._descend(folder, os.path.join(real_root, name), name, found, where)
        self._follow(links, found, _with_parents(root), where)

        prefix = os.path.join(root, "")  # not Path.relative_to: too slow for a million images
        images = {
            name: [os.path.join(*file).removeprefix(prefix).replace(os.sep, "/") for file in sorted(files)]
            for name, files in found.items()
        }
        self._check_enough(root, images, where, at_least)
        return images

    def _descend(self, folder: str, real: str, label: str, found: dict, where: str) -> list[tuple[str, str]]:
        """Adds what lies in a folder and below it, and returns the links that were met."""
        links, pending = [], [(folder, real)]
        while pending:
            folder, real = pending.pop()
            if real in self._folders:
                self.passed_over.others[AGAIN] += 1
                continue
            self._folders.add(real)
            for entry in self._entries(folder, where):
                if entry.is_symlink():
                    links.append((entry.path, label))
                elif entry.is_dir():
                    pending.append((entry.path, os.path.join(real, entry.name)))
                elif not entry.is_file():
                    self.passed_over.others[NEITHER] += 1
                elif self._is_image(entry.name) and self._is_new(entry, folder, real):
                    found[label].append((folder, entry.name))
        return links

    def _follow(self, links: list[tuple[str, str]], found: dict, above: set[str], where: str) -> None:
        """Adds what links lead to: folders first, so that a file counts under its own name if it has one, and of these
        the links nearest to the root, which classes may be.
        """
        files = []
        while links:
            links, here = [], sorted(links, key=lambda link: (link[0].count(os.sep), link))
            for path, label in here:
                real = os.path.realpath(path)
                if not os.path.isdir(real):
                    files.append((path, real, label))
                elif real in above:
                    self.passed_over.others[AGAIN] += 1
                else:
                    links += self._descend(path, real, label, found, where)
        for path, real, label in files:
            folder, name = os.path.split(path)
            if not os.path.isfile(real):
                self.passed_over.others[NEITHER if os.path.exists(real) else BROKEN] += 1
            elif self._is_image(name) and self._is_new_link(real):
                found[label].append((folder, name))

    def _entries(self, folder: str | Path, where: str) -> list[os.DirEntry]:
        """What lies in a folder, by name, without what is hidden or of the system."""
        try:
            with os.scandir(folder) as entries:
                entries = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"{where}: {folder} cannot be listed ({error.strerror}); check its permissions") from None
        kept = [entry for entry in entries if not is_passed_over(entry.name)]
        for entry in set(entries) - set(kept):
            if entry.name.lower() in SYSTEM_NAMES:
                self.passed_over.system[entry.name] += 1
            else:
                self.passed_over.others[HIDDEN] += 1
        return kept

    def _is_image(self, name: str) -> bool:
        if extension(name) in EXTENSIONS:
            return True
        self.passed_over.extensions[extension(name)] += 1
        return False

    def _is_new(self, entry: os.DirEntry, folder: str, real: str) -> bool:
        """Whether a file was not found before, through a link or as a hard link.

        Only files with the same inode are looked at: a million are listed without a call for each.
        """
        first = self._inodes.setdefault(entry.inode(), (folder, entry.name))
        again = bool(self._linked) and os.path.join(real, entry.name) in self._linked
        if not again and first != (folder, entry.name):
            status = os.stat(entry.path)
            again = status.st_nlink > 1 and os.path.samestat(status, os.stat(os.path.join(*first)))
        if again:
            self.passed_over.others[AGAIN] += 1
        return not again

    def _is_new_link(self, real: str) -> bool:
        folder, name = os.path.split(real)
        listed = folder in self._folders and not is_passed_over(name) and extension(name) in EXTENSIONS
        if listed or real in self._linked:
            self.passed_over.others[AGAIN] += 1
            return False
        self._linked.add(real)
        return True

    def _check_enough(self, root: Path, images: dict[str, list[str]], where: str, at_least: int) -> None:
        short = [name for name in images if len(images[name]) < at_least]
        if not short:
            return
        found = f"{len(images[short[0]])} image" if images[short[0]] else "no images"
        others = len(short) - 1
        more = f", and {others} more class{'es' * (others > 1)} like it" if others else ""
        passed_over = f"; {self.passed_over}" if str(self.passed_over) else ""
        raise UserError(
            f"{where}: class folder {root / shown(short[0])} holds {found} "
            f"({' '.join(sorted(EXTENSIONS))}{passed_over}), needed {at_least}{more}; add images or remove the folder"
        )


def _with_parents(folder: Path) -> set[str]:
    real = Path(os.path.realpath(folder))
    return {str(path) for path in (real, *real.parents)}
