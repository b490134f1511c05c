"""Names of classes that look the same and are not: shown so that the difference is seen."""

import unicodedata
from collections.abc import Iterable


def shown(name: str) -> str:
    """The name as it is if all of it is seen, else quoted, with escapes for what is not."""
    return name if name == _seen(name) and name.isprintable() else ascii(name)


def first_alike(names: Iterable[str]) -> tuple[str, str] | None:
    """The first two of the names that look the same; None if all look different."""
    looks: dict[str, str] = {}
    for name in names:
        other = looks.setdefault(_seen(name), name)
        if other != name:
            return other, name
    return None


def nearly(name: str, among: Iterable[str]) -> str | None:
    """One of the names that looks like this one, capital letters aside; None if there is none."""
    return next((other for other in among if _seen(other).casefold() == _seen(name).casefold()), None)


def beside(name: str, among: Iterable[str]) -> str:
    """A name that is none of `among`, with the one that it can be taken for, if there is such a one."""
    alike = nearly(name, among)
    return shown(name) if alike is None else f"{name!a} (there is {alike!a}, which differs {difference(name, alike)})"


def difference(one: str, other: str) -> str:
    """In which respect two names differ that look alike."""
    for what, form in _FORMS.items():
        if form(one) == form(other):
            return what
    return "in several respects"


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _spaced(name: str) -> str:
    return "".join(" " if unicodedata.category(c) == "Zs" else c for c in name).strip()


def _taking_room(name: str) -> str:
    return "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf"))


def _seen(name: str) -> str:
    return _spaced(_composed(_taking_room(name)))


_FORMS = {
    "in Unicode normal form": _composed,
    "in spaces": _spaced,
    "in characters that take no room": _taking_room,
    "in capital letters": str.casefold,
}
