"""What exported files are worth, on the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table


def print_exported(console: Console, rows: Sequence[Sequence[str]]) -> None:
    """A table whose first row is its head."""
    head, *body = rows
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for i, name in enumerate(head):
        table.add_column(name, justify="right" if i else "left", no_wrap=True)
    for row in body:
        table.add_row(*row)
    console.print(table)
