"""The metrics of several processes as one text, in which each sample says whose it is (`process="proxy-1"`).

They are not added up: a process that is started again begins at nought, and only a series of its own lets a reader of
the sums see that. A family is told once, with the help and type of whoever names it first. Pure text in, text out.
"""

from __future__ import annotations

from collections.abc import Mapping

HELP, TYPE = "# HELP ", "# TYPE "


def merged(texts: Mapping[str, bytes]) -> bytes:
    """One text of the processes' own.

    Args:
        texts: in Prometheus' text format, by the process's name: letters, digits and dashes.
    """
    families: dict[str, _Family] = {}
    for process, text in texts.items():
        _add(families, f'process="{process}"', text.decode())
    return "".join(f"{line}\n" for family in families.values() for line in family.lines()).encode()


class _Family:
    """What is told of one family: its head, then the samples of all."""

    def __init__(self) -> None:
        self.head: dict[str, str] = {}
        self.samples: list[str] = []

    def lines(self) -> list[str]:
        return [*self.head.values(), *self.samples]


def _add(families: dict[str, _Family], label: str, text: str) -> None:
    family = _Family()
    for line in text.split("\n"):
        if line.startswith((HELP, TYPE)):
            kind, name = line[: len(HELP)], line[len(HELP) :].partition(" ")[0]
            family = families.setdefault(name, _Family())
            family.head.setdefault(kind, line)
        elif line and not line.startswith("#"):
            family.samples.append(_labelled(line, label))


def _labelled(sample: str, label: str) -> str:
    """`name{a="b"} 1` and `name 1` with one more label; a name has neither brace nor space."""
    brace, space = sample.find("{"), sample.find(" ")
    if 0 <= brace < space:
        rest = sample[brace + 1 :]
        return f"{sample[:brace]}{{{label}{'' if rest.startswith('}') else ','}{rest}"
    return f"{sample[:space]}{{{label}}}{sample[space:]}"
