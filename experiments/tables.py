"""Tables of the studies: Markdown, written into the part of a README that follows `## Found`."""

from collections.abc import Sequence
from pathlib import Path


def markdown_table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    """A Markdown table; cells are written as they are."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write_found(script: str, text: str) -> None:
    """Replace what follows the line `## Found` in the README beside `script` by `text`, and print it."""
    readme = Path(script).with_name("README.md")
    before, _, _ = readme.read_text().partition("\n## Found\n")
    readme.write_text(f"{before}\n## Found\n\n{text.strip()}\n")
    print(text)
