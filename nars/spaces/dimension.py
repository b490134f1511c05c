"""One thing that can be chosen: a named, ordered tuple of values."""

from dataclasses import dataclass
from decimal import Decimal

from nars.errors import UserError
from nars.settings import MAX_CHOICES, Range

Value = bool | int | float | str


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """A dimension and its choices; a point holds the index of the choice.

    Numbers are ordered and encode as one column, min-max scaled to [0, 1]; booleans and strings are categories and
    encode one-hot (paper, recalled).
    """

    name: str
    choices: tuple[Value, ...]

    def __post_init__(self):
        if len(self.choices) > MAX_CHOICES:
            raise UserError(f"{self.name}: {len(self.choices):,} choices; a dimension has at most {MAX_CHOICES:,}")
        if len({(type(choice), choice) for choice in self.choices}) != len(self.choices):
            raise UserError(f"{self.name}: choices repeat: {list(self.choices)}")
        if self.ordered and list(self.choices) != sorted(self.choices):
            raise UserError(f"{self.name}: numbers must be in rising order, given {list(self.choices)}")

    @property
    def ordered(self) -> bool:
        """Whether the choices are numbers."""
        return all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in self.choices)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns that `Space.encode` makes of this dimension."""
        if self.ordered:
            return (self.name,)
        return tuple(f"{self.name}={choice}" for choice in self.choices)

    def index(self, value: Value) -> int:
        """Position of `value` among the choices; UserError if it is not offered."""
        for position, choice in enumerate(self.choices):
            if choice == value and isinstance(choice, bool) == isinstance(value, bool):
                return position
        raise UserError(f"{self.name}: {value!r} is not offered; allowed: {', '.join(map(str, self.choices))}")


def choices_of(spec: Range | tuple | Value) -> tuple[Value, ...]:
    """The values that a settings entry (range, list or fixed value) stands for, in order.

    Units multiply in decimal, so that 21 x 1e-3 is exactly 0.021.
    """
    if isinstance(spec, Range):
        numbers = range(spec.low, spec.high + 1, spec.step)
        if spec.unit == 1:
            return tuple(numbers)
        return tuple(float(Decimal(number) * Decimal(str(spec.unit))) for number in numbers)
    return spec if isinstance(spec, tuple) else (spec,)
