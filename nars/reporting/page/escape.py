"""Text from files, made harmless for Plotly, which reads tags and entities in labels."""

import html


def escaped(text: str) -> str:
    """`text` shown as it is by Plotly."""
    return html.escape(text, quote=False)
