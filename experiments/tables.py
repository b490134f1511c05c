"""Tables of the studies: Markdown, written into the part of a README that follows `## Found`."""

from collections.abc import Sequence
from pathlib import Path


def markdown_table(header: Sequence[str], rows: Sequence[Sequence]) -> str:
    """A Markdown table; cells are written as they are."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write_found(script: str, text: str) -> None:
    """Replace the section `## Found` of the README beside `script` by `text`, and print it. What follows from
    `## Conclusion` on was written by hand and stays."""
    readme = Path(script).with_name("README.md")
    before, _, found = readme.read_text().partition("\n## Found\n")
    _, heading, conclusion = found.partition("\n## Conclusion\n")
    readme.write_text(f"{before}\n## Found\n\n{text.strip()}\n{heading}{conclusion}")
    print(text)
