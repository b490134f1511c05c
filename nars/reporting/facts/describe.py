"""Candidates in words: one line each, and what differs between them."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from nars.settings import Recipe, parse
from nars.spaces.architecture import Architecture
from nars.spaces.blocks import BlockStage


def architecture_strip(architecture: Mapping) -> str:
    """One line: resolution, stem, and width x depth of each stage, `64x3+104x2` where its width changes; other spaces'
    choices as key=value."""
    if "stages" not in architecture:
        return " ".join(f"{key}={value}" for key, value in architecture.items())
    stages = []
    for stage in Architecture.from_dict(architecture).placed_blocks:
        widths = groupby(stage, key=lambda placed: placed.block.width)
        stages.append("+".join(f"{width}x{sum(not p.is_nothing for p in blocks)}" for width, blocks in widths))
    return f"{architecture['resolution']}px {architecture['stem_width']} | {' '.join(stages)}"


def recipe_line(recipe: Mapping) -> str:
    """One line: the recipe's values in short, optimizer first."""
    keys = sorted(recipe, key=lambda key: key != "optimizer")
    return ", ".join(recipe_value(key, recipe[key]) for key in keys)


def recipe_value(key: str, value) -> str:
    """One recipe key in short: `lr 0.03`, `no ema`, `sgd`."""
    if key == "optimizer":
        return str(value)
    if isinstance(value, bool):
        return key if value else f"no {key}"
    title = Recipe.model_fields[key].title if key in Recipe.model_fields else None  # other spaces have other keys
    return f"{title or key} {shown(value)}"


def shown(value) -> str:
    """A value as people read it: 0.03, 2.1e-05, on, off, sgd."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def limits(constraint: str) -> str:
    """The label of a constraint after a noun: `with macs <= 600M`, `without limits`."""
    return "without limits" if constraint == "none" else f"with {constraint}"


def counted(n: int, thing: str) -> str:
    """ "1 candidate", "2 candidates"."""
    return f"{n} {thing}{'s' * (n != 1)}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 95 s, 12 min, 3.5 h, 2.1 days; `-` for None."""
    if seconds is None:
        return "-"
    for unit, size, digits in (("days", 86_400, 1), ("h", 3600, 1), ("min", 60, 0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.{digits}f} {unit}"
    return f"{seconds:.0f} s"


def dimensions(candidate: Mapping) -> dict[str, str]:
    """Every choice of a candidate by name, as shown: `resolution`, `stage3/width`, `stage3/kernel`, `lr`.

    A stage's first and remaining blocks share a name, with values as 5 where they agree and 3/5 where they do not. A
    block that stands for itself is one thing: `stage3/block2` is `24 k5 e4.5 se`.
    """
    architecture = dict(candidate["architecture"])
    flat = {}
    for i, stage in enumerate(architecture.pop("stages", ()), start=1):
        flat |= {f"stage{i}/{key}": value for key, value in _stage(stage).items()}
    flat |= {f"head/{key}": shown(value) for key, value in architecture.pop("head", {}).items()}
    whole = {key: shown(value) for key, value in architecture.items()}
    return whole | flat | {key: shown(value) for key, value in candidate["recipe"].items()}


def _stage(stage: Mapping) -> dict[str, str]:
    if "blocks" in stage:
        blocks = parse(BlockStage, dict(stage)).blocks
        words = {f"block{j}": f"{block.width} {block.words}" for j, block in enumerate(blocks, start=1)}
        return {"stride": shown(stage["stride"]), **words}
    values = {}
    for key, value in stage.items():
        name, _, end = key.partition("_")
        if end == "first" and f"{name}_rest" in stage:
            rest = stage[f"{name}_rest"]
            values[name] = shown(value) if value == rest else f"{value}/{rest}"
        elif end != "rest":
            values[key] = shown(value)
    return values


def differing(candidates: Sequence[Mapping]) -> list[str]:
    """Names of the dimensions in which not all candidates are the same, in the order of `dimensions`."""
    rows = [dimensions(candidate) for candidate in candidates]
    names = {name: None for row in rows for name in row}
    return [name for name in names if len({row.get(name) for row in rows}) > 1]


def differences(candidate: Mapping, reference: Mapping) -> list[str]:
    """What is otherwise in a candidate than in the reference, in short: `stage3/width 24`, `no ema`."""
    left_out = {key: value for key, value in Recipe.neutral().items() if key in reference["recipe"]}
    recipe = dict(candidate["recipe"]) | {key: v for key, v in left_out.items() if key not in candidate["recipe"]}
    mine, other = dimensions({**candidate, "recipe": recipe}), dimensions(reference)
    return [
        recipe_value(name, recipe[name]) if name in recipe else f"{name} {value}"
        for name, value in mine.items()
        if other.get(name) != value
    ]
