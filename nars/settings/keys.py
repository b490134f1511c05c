"""The keys of settings by their full names, and which of them was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel


def kinds_of(annotation) -> set:
    """What a value may be: the members of a union, without what only says more about them."""
    if get_origin(annotation) is Annotated:
        return kinds_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return set().union(*map(kinds_of, get_args(annotation)))
    return {annotation}


def keys_of(settings_class: type[BaseModel], prefix: str = "") -> list[str]:
    """Full names of all keys, those of every option of a union included."""
    keys = []
    for name, field in settings_class.model_fields.items():
        keys.append(f"{prefix}{name}")
        for kind in kinds_of(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                keys += keys_of(kind, f"{prefix}{name}.")
    return list(dict.fromkeys(keys))


def nearest_key(given: str, keys: Iterable[str]) -> str | None:
    """The key that was probably meant, None if none is near: one with the same last word, below the same group if there
    is one and with the shortest path, else a similar one beside it, else one with a similar last word."""
    group, _, last = given.rpartition(".")
    keys = sorted(keys, key=lambda key: (group != "" and not key.startswith(f"{group}."), key.count(".")))
    last_words = {key.rpartition(".")[2]: key for key in reversed(keys)}
    siblings = {word: key for word, key in last_words.items() if key.rpartition(".")[0] == group}
    if last in last_words:
        return last_words[last]
    for words in (siblings, last_words):
        near = get_close_matches(last, words, n=1, cutoff=0.75) or [w for w in words if last and w.startswith(last)]
        if near:
            return words[near[0]]
    return None
