"""Writes the table: Markdown for people, JSON for machines, and the result section of the README."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.machine import Machine
from benchmarks.summary import Row, Side, Spread


@dataclasses.dataclass(frozen=True)
class Part:
    """Figures whose results are stored together, as they are measured in one run.

    Attributes:
        name: in the marks around its section of the README.
        figures: their numbers.
        file: the results for programs.
    """

    name: str
    figures: range
    file: str

    @property
    def begin(self) -> str:
        return f"<!-- {self.name}: begin -->"

    @property
    def end(self) -> str:
        return f"<!-- {self.name}: end -->"


PARTS = (
    Part("results", range(1, 8), "results.json"),
    Part("results of many models", range(8, 13), "results-many-models.json"),
    Part("results of a split node", range(13, 14), "results-split.json"),
)
COLUMNS = (
    "#",
    "measured",
    "against",
    "ratio (min-max)",
    "target",
    "met",
    "Shoal (min-max)",
    "other (min-max)",
    "unit",
    "CPU s per 1,000",
    "P50 ms",
    "P99 ms",
    "PSS MiB",
    "start s",
)


def number(value: float) -> str:
    """Three significant digits, without exponents."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def spread(value: Spread | None) -> str:
    """Median (least to greatest)."""
    if value is None:
        return "-"
    return f"{number(value.median)} ({number(value.least)}-{number(value.greatest)})"


def _both(row: Row, pick: Callable[[Side], float | None]) -> str:
    values = [pick(side) for side in (row.ours, row.theirs) if side]
    shown = ["-" if value is None else number(value) for value in values]
    return " / ".join(shown) if set(shown) - {"-"} else "-"


def line(row: Row) -> str:
    """One line of the table; a comparison that failed gives its reason."""
    verdict = {True: "yes", False: "**no**", None: "-"}[row.met]
    against = row.theirs.name if row.theirs else row.against or "-"
    if row.failure:
        reason = row.failure.replace("|", "/")
        cells = [str(row.figure), row.what, against, f"failed: {reason}", str(row.target or "-"), verdict]
        return "| " + " | ".join(cells + ["-"] * (len(COLUMNS) - len(cells))) + " |"
    cells = [
        str(row.figure),
        row.what,
        against,
        spread(row.ratio),
        str(row.target or "-"),
        verdict,
        spread(row.ours.value if row.ours else None),
        spread(row.theirs.value if row.theirs else None),
        row.unit,
        _both(row, lambda side: side.cpu_per_1000 or None),
        _both(row, lambda side: side.p50),
        _both(row, lambda side: side.p99),
        _both(row, lambda side: side.pss_mib),
        _both(row, lambda side: side.start_seconds),
    ]
    return "| " + " | ".join(cells) + " |"


def table(rows: Sequence[Row]) -> str:
    """All rows as one Markdown table."""
    head = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    return "\n".join([*head, *(line(row) for row in rows)])


def verdict(rows: Sequence[Row]) -> str:
    """How many targets are met."""
    judged = [row for row in rows if row.met is not None]
    return f"{sum(bool(row.met) for row in judged)} of {len(judged)} targets met."


def section(rows: Sequence[Row], machine: Machine, how: str, subject: str) -> str:
    """The result section: the machine, how it was measured, the verdict, the table."""
    lines = [
        (
            f"Measured {machine.measured} on {machine.cores} cores of {machine.processor}, {machine.memory_gib} GiB, "
            f"Linux {machine.kernel}, Python {machine.python}, {machine.wrk}, {machine.h2load}; "
            f"load average before: {machine.load_before}. {how}"
        ),
        "",
        *([] if subject == "shoal" else [f"**Not Shoal: {subject} was measured in its place.**", ""]),
        verdict(rows),
        "",
        table(rows),
    ]
    return "\n".join(lines)


def as_json(rows: Sequence[Row], machine: Machine, how: str, subject: str) -> str:
    """The same, for programs."""
    entries = [{**dataclasses.asdict(row), "met": row.met} for row in rows]
    content = {"machine": dataclasses.asdict(machine), "how": how, "subject": subject, "rows": entries}
    return json.dumps(content, indent=1) + "\n"


def replace_section(text: str, result: str, part: Part = PARTS[0]) -> str:
    """The README with the results of a part replaced."""
    before, begin, rest = text.partition(part.begin)
    _, end, after = rest.partition(part.end)
    if not begin or not end:
        raise ValueError(f"no {part.begin} ... {part.end} in the text")
    return f"{before}{part.begin}\n{result}\n{part.end}{after}"


def store(rows: Sequence[Row], machine: Machine, how: str, *, subject: str, folder: Path, readme: Path) -> None:
    """Writes the JSON file and the README's section of each part that was measured."""
    for part in PARTS:
        own = [row for row in rows if row.figure in part.figures]
        if own:
            (folder / part.file).write_text(as_json(own, machine, how, subject))
            readme.write_text(replace_section(readme.read_text(), section(own, machine, how, subject), part))
