"""How commands show what control tells: a table for people, JSON for programs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


def show_json(value: Any) -> None:
    """Print a value as JSON."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


WIDE = 10_000
"""Columns of what is no terminal: nothing is wrapped for programs that read lines."""


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> None:
    """Print a table, without the columns that no row fills; `empty` is said instead when there are no rows."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [[plain(cell) for cell in row] for row in rows]
    shown = [at for at in range(len(columns)) if not cells or any(row[at] for row in cells)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for at in shown:
        table.add_column(columns[at], overflow="fold")
    for row in cells:
        table.add_row(*(Text(row[at]) for at in shown))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    console.print(table if cells or not empty else Text(empty))


def show_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values, those that are empty left out."""
    from rich.console import Console
    from rich.text import Text

    told = [(name, plain(value)) for name, value in facts if value not in ("", None, {}, ())]
    width = max((len(name) for name, _ in told), default=0)
    for name, value in told:
        Console(highlight=False, soft_wrap=True).print(Text(f"{name:<{width}}  {value}"))


def plain(value: object) -> str:
    """A value as people read it; nothing in it acts on a terminal."""
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.6g}"
        case dict():
            return ", ".join(f"{key}={plain(each)}" for key, each in value.items())
        case list() | tuple():
            return ", ".join(plain(each) for each in value)
    return "".join(char if char.isprintable() else "�" for char in str(value))


def day(seconds: float) -> str:
    """A time as people read it, by the clock of this machine."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else ""


def amount(number: int) -> str:
    """Bytes as people read them."""
    size = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
