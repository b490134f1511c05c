"""What a detector reached, on the terminal."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

NAMES = {
    "map": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "AP small",
    "ap_medium": "AP medium",
    "ap_large": "AP large",
    "val_loss": "validation loss",
}


def print_precisions(console: Console, measured: Mapping) -> None:
    """Average precisions, `-` where there are no such objects, then those of each class, the best first."""
    known = {name: title for name, title in NAMES.items() if name in measured}
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for title in known.values():
        table.add_column(title, justify="right", no_wrap=True)
    table.add_row(*(_shown(measured[name]) for name in known))
    console.print(table)
    classes = measured["ap_per_class"]
    ranked = sorted(classes, key=lambda name: -1.0 if classes[name] is None else classes[name], reverse=True)
    console.print(Text("AP by class: " + ", ".join(f"{name} {_shown(classes[name])}" for name in ranked)))


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
