"""Markdown made of values: cells that cannot break a table, tables, and the note at the top of each page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

NOTE = "<!-- Made from the code by tools/make_reference.py: `make reference` writes it again. -->"


def page(title: str, *parts: str) -> str:
    """A whole page."""
    return "\n\n".join([NOTE, f"# {title}", *(part.strip("\n") for part in parts)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold any text of one or several lines."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell(each) for each in line) + " |" for line in lines)


def cell(text: str) -> str:
    """A text that fits into one cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(value: object) -> str:
    """A value as one writes it in YAML, set as code; nothing for no value."""
    if value is None or value == "":
        return ""
    text = {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else str(value)
    return f"`{text}`"


def block(text: str, language: str = "") -> str:
    """A fenced block."""
    return f"```{language}\n{text.strip()}\n```"


def prose(docstring: str) -> str:
    """A docstring's text as Markdown: double backticks become single ones."""
    return docstring.replace("``", "`")
