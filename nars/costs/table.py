"""What networks cost: a line for each cost, from which settings, files, tables and figures take what they know of it.

Imports nothing of this project, so that settings can be made from it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A cost, under the `name` that it has in settings (`max_<name>`, `min_<name>`) and in files.

    `label` is what people read after a number and above a column. `limited`: searches may limit it and choose by it.
    `always`: every search prices it; other costs only where they are limited or chosen by. `measured`: it is priced
    from a table of the user's device, which must be given. How a cost follows the choices of a space is left open: it
    may rise with some and fall with others, and need not be a whole number.
    """

    name: str
    label: str
    limited: bool
    always: bool
    measured: bool = False


_TABLE = (
    Cost(name="macs", label="MACs", limited=True, always=True),
    Cost(name="params", label="params", limited=True, always=True),
    Cost(name="activations", label="activations", limited=True, always=False),
    Cost(name="latency_ms", label="ms latency", limited=True, always=False, measured=True),
)
LATENCY = "latency_ms"
COSTS = {cost.name: cost for cost in _TABLE}
LIMITED = tuple(cost.name for cost in _TABLE if cost.limited)
COUNTED = tuple(cost.name for cost in _TABLE if not cost.measured)
ALWAYS = tuple(cost.name for cost in _TABLE if cost.always)
DEFAULT_AXIS = "macs"  # what is cheap and what is not, unless a search says otherwise


def short_number(value: float) -> str:
    """1.2e9 -> 1.2G, 600e6 -> 600M, 500 -> 500: for labels and messages."""
    for unit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.4g}{suffix}"
    return f"{value:.4g}"


def in_words(costs: Mapping[str, float]) -> str:
    """Costs by name as text: `598.7M MACs, 10.69M params`."""
    return ", ".join(f"{short_number(costs[name])} {COSTS[name].label}" for name in known(costs))


def cell(costs: Mapping[str, float], name: str) -> str:
    """A cost in a table; `-` where it is not known."""
    return short_number(costs[name]) if name in costs else "-"


def by_name(names: Sequence[str], values: Iterable[float]) -> dict[str, float]:
    """Costs by name, of one row of an array."""
    return dict(zip(names, map(float, values), strict=True))


def known(*several: Mapping[str, float]) -> list[str]:
    """Names of the costs that any of these mappings holds, in the order of the table: files of older and of newer
    versions may hold fewer or others."""
    return [name for name in COSTS if any(name in costs for costs in several)]


def gathered(values):
    """Plain containers of a file with the costs that lie beside other keys, at any depth, under `costs`."""
    if isinstance(values, list):
        return [gathered(value) for value in values]
    if not isinstance(values, dict) or "costs" in values:
        return values
    flat = {name: values[name] for name in LIMITED if name in values}
    rest = {key: gathered(value) for key, value in values.items() if key not in flat}
    return rest | {"costs": flat} if flat else rest


def flattened(values: Mapping) -> dict:
    """The inverse of `gathered` for one mapping: the costs beside its other keys."""
    flat = {}
    for key, value in values.items():
        flat |= value if key == "costs" else {key: value}
    return flat
