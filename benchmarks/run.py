"""`python -m benchmarks.run`: measures Shoal beside its peers and writes the table.

All figures at their full length take about half an hour once the peers are installed, `--quick` a few minutes.
A run of a part (`--figures`, `--peers`, `--quick`) prints its table and leaves the stored results unless `--store`.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Sequence

from benchmarks import machine, models, paths, report
from benchmarks.environments import CannotInstall, make
from benchmarks.figures import FIGURES
from benchmarks.lab import FAILURES, Lab
from benchmarks.peers import OURS, PEERS, REFERENCE
from benchmarks.summary import Row, Target

QUICK_PEERS = ("fastapi", "mosec", "mlserver", "pytriton", "kserve")


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--figures", type=_figures, default=list(FIGURES), help="numbers, as in 1,2,5")
    parser.add_argument("--peers", type=_peers, default=None, help=f"names out of {','.join(PEERS)}")
    parser.add_argument("--repeats", type=int, default=None, help="rounds of each comparison (3; quick: 2)")
    parser.add_argument("--seconds", type=int, default=None, help="length of a timed run (2; quick: 1)")
    parser.add_argument("--quick", action="store_true", help="short runs, and only the peers that targets name first")
    parser.add_argument("--install", action="store_true", help="make the peers' environments and end")
    parser.add_argument("--subject", choices=("shoal", "reference"), default="shoal", help="whom to measure")
    parser.add_argument("--store", action="store_true", default=None, help="store the results of a partial run too")
    return parser.parse_args(words)


def _figures(text: str) -> list[int]:
    numbers = [int(word) for word in text.split(",")]
    if unknown := set(numbers) - set(FIGURES):
        raise argparse.ArgumentTypeError(f"no figure {', '.join(map(str, sorted(unknown)))}")
    return numbers


def _peers(text: str) -> list[str]:
    names = [word for word in text.split(",") if word]
    if unknown := set(names) - set(PEERS):
        raise argparse.ArgumentTypeError(f"no peer {', '.join(sorted(unknown))}")
    return names


def lab_for(options: argparse.Namespace) -> Lab:
    """How thoroughly to measure."""
    names = options.peers if options.peers is not None else list(QUICK_PEERS if options.quick else PEERS)
    return Lab(
        repeats=options.repeats or (2 if options.quick else 3),
        seconds=options.seconds or (1 if options.quick else 2),
        chosen=names,
        thorough=not options.quick,
        subject=OURS if options.subject == "shoal" else REFERENCE,
    )


def is_whole(options: argparse.Namespace) -> bool:
    """Whether the run is one that the README shows: all figures of a part of them, in full."""
    wholes = [list(FIGURES), *(list(part.figures) for part in report.PARTS)]
    part = options.quick or options.peers is not None or list(options.figures) not in wholes
    return not part and options.subject == "shoal"


def install(lab: Lab) -> None:
    """Makes models, bodies and environments; a peer that cannot be installed is reported when its turn comes."""
    paths.prepare()
    models.make_models()
    models.make_bodies()
    for peer in lab.peers(*PEERS):
        try:
            make(peer)
        except CannotInstall as error:
            lab.say(str(error))


def measure(lab: Lab, numbers: Sequence[int]) -> list[Row]:
    """The rows of all figures; a figure that Shoal itself fails is a row that says so."""
    rows: list[Row] = []
    for number in numbers:
        begun = time.monotonic()
        try:
            for row in FIGURES[number](lab):
                rows.append(row)
        except FAILURES as error:
            lab.say(f"figure {number} failed: {error}")
            reason = " ".join(str(error).split())[:240]
            rows.append(Row(number, f"figure {number}", "", target=Target(0), failure=reason))
        lab.say(f"figure {number} took {time.monotonic() - begun:.0f} s")
    return rows


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command; 1 when a target is missed or a comparison failed."""
    options = arguments(words)
    if missing := [tool for tool in ("wrk", "h2load", "taskset") if not shutil.which(tool)]:
        print(f"missing: {', '.join(missing)} (Debian: apt-get install wrk nghttp2-client util-linux)", file=sys.stderr)
        return 2
    lab, described = lab_for(options), machine.describe()
    install(lab)
    if options.install:
        return 0
    rows = measure(lab, options.figures)
    how = (
        f"{lab.repeats} rounds of {lab.seconds} s in turns; servers on core 0, generators on core 1 unless a row says."
    )
    print(report.section(rows, described, how, options.subject))
    if is_whole(options) or options.store:
        report.store(rows, described, how, subject=options.subject, folder=paths.HERE, readme=paths.README)
    return int(any(row.met is False or row.failure for row in rows))


if __name__ == "__main__":
    sys.exit(main())
