"""Mutation testing: how many small wrong changes of a module its tests notice, and which they do not.

    python -m tests.mutation.run [--subject NAME] [--sample 200] [--seed 7] [--jobs 2] [--again | --fresh]

Every mutant is tried in a forked process with the tests that run its function, the quickest first. It is killed if a
test fails, or if they take far longer than without it. What came of each is kept in `.mutation/` and is not tried once more
while code and tests are the same; with `--again` only what survived is, whatever tests have been written since.

An own small tool, as mutmut works on a rewritten copy of the whole tree and changes functions into trampolines, which frozen
dataclasses with slots do not survive.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from mutation.child import Reach, attempt, watch  # noqa: E402 - after the path
from mutation.kept import FOLDER, Kept, digest  # noqa: E402
from mutation.mutants import Mutant, mutants  # noqa: E402
from mutation.subjects import SUBJECTS, Subject  # noqa: E402

ENOUGH = 0.85
"""The share that must be killed."""
LONGEST = 600.0
"""Seconds that the tests of a mutant may take; most that take too long are ended by what a test may take."""
EVERY = 15.0
"""Seconds between two words of how far it is."""


@dataclass(frozen=True, slots=True)
class Case:
    """A mutant that is to be tried."""

    file: Path
    module: str
    """The digest of the file."""
    number: int
    mutant: Mutant

    @property
    def at(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.number}"

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.mutant.line}: {self.mutant.what}"


@dataclass
class Trial:
    """A mutant whose tests run."""

    case: Case
    pid: int
    slot: int
    until: float


def cases(subject: Subject) -> list[Case]:
    """All mutants of a subject."""
    return [
        Case(file, module, number, mutant)
        for file, module in ((file, digest([file])) for file in subject.files())
        for number, mutant in enumerate(mutants(file.read_text()))
    ]


def tried(waiting: list[Case], reach: Reach, folder: Path, jobs: int) -> Iterator[tuple[Case, bool]]:
    """Each case with whether the mutant was killed, as they end."""
    running: list[Trial] = []
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                case = waiting.pop()
                if tests := reach.tests_of(case.file, case.mutant.within):
                    slot = min(set(range(jobs)) - {trial.slot for trial in running})
                    pid = attempt(case.file, case.mutant, tests, folder / f"{slot}")
                    running.append(Trial(case, pid, slot, time.monotonic() + LONGEST))
                else:
                    yield case, False
            time.sleep(0.02)
            for trial in list(running):
                if (killed := _ended(trial)) is not None:
                    running.remove(trial)
                    yield trial.case, killed
    finally:
        for trial in running:
            os.killpg(trial.pid, signal.SIGKILL)
            os.waitpid(trial.pid, 0)


def _ended(trial: Trial) -> bool | None:
    """Whether the tests of a trial have failed; None: they run."""
    pid, status = os.waitpid(trial.pid, os.WNOHANG)
    if not pid and time.monotonic() > trial.until:
        os.killpg(trial.pid, signal.SIGKILL)
        pid, status = os.waitpid(trial.pid, 0)
    return os.waitstatus_to_exitcode(status) != 0 if pid else None


def reached(name: str, subject: Subject, folder: Path) -> Reach:
    """Run the tests without any change, and load what they need of others, so that no trial has to."""
    if os.waitstatus_to_exitcode(os.waitpid(watch(subject.files(), subject.tests, folder), 0)[1]):
        sys.exit(f"{name}: the tests fail without any change")
    reach = Reach.read((folder / "reach").read_text())
    for module in reach.modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    gc.freeze()  # else each trial looks for garbage in all of it
    return reach


def judge(name: str, chosen: Sequence[Case], kept: Kept, jobs: int) -> list[Case]:
    """Try mutants of a subject, say how far it is, and return those that survive."""
    known = [(case, kept.killed(case.at, case.module)) for case in chosen]
    survived = [case for case, killed in known if killed is False]
    waiting = [case for case, killed in known if killed is None]
    if not waiting:
        return survived
    begun = told = time.monotonic()
    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        reach = reached(name, SUBJECTS[name], Path(folder))
        count, begun = len(waiting), time.monotonic()
        for done, (case, killed) in enumerate(tried(waiting, reach, Path(folder), jobs), 1):
            kept.keep(case.at, case.module, killed)
            if not killed:
                survived.append(case)
                print(f"survives: {case}", flush=True)
            if time.monotonic() - told > EVERY or done == count:
                told = time.monotonic()
                left = (told - begun) / done * (count - done) / 60
                print(f"{name}: {done} of {count}, {len(survived)} survive; {left:.0f} minutes to go", flush=True)
    return survived


def _memory() -> str | None:
    """A folder in memory, if there is one: tests of files wait for the disk most of their time."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def tell(name: str, chosen: Sequence[Case], survived: Sequence[Case], there_are: int) -> float:
    """Say what came of it; the share that was killed."""
    for case in sorted(survived, key=lambda case: (case.file, case.number)):
        print(f"survives: {case}")
    share = 1 - len(survived) / len(chosen)
    killed = len(chosen) - len(survived)
    print(f"{name}: {share:.1%}: {killed} of {len(chosen)} mutants killed ({there_are} there are)", flush=True)
    return share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--subject", choices=[*SUBJECTS], help="one of them; all by default")
    parser.add_argument("--sample", type=int, default=1_000_000, help="so many mutants of each, chosen by the seed")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--again", action="store_true", help="try only what survived, and what was not tried yet")
    parser.add_argument("--fresh", action="store_true", help="forget what was found before")
    given = parser.parse_args()
    os.chdir(ROOT)
    os.nice(10)
    everything = digest([*ROOT.glob("src/shoal/**/*.py"), *ROOT.glob("tests/**/*.py")])
    shares = []
    for name in [given.subject] if given.subject else [*SUBJECTS]:
        file = FOLDER / f"{name.replace(' ', '_')}.jsonl"
        if given.fresh:
            file.unlink(missing_ok=True)
        every = cases(SUBJECTS[name])
        chosen = every if given.sample >= len(every) else random.Random(given.seed).sample(every, given.sample)
        survived = judge(name, chosen, Kept(file, everything, again=given.again), given.jobs)
        shares.append(tell(name, chosen, survived, len(every)))
    sys.exit(0 if min(shares) >= ENOUGH else 1)


if __name__ == "__main__":
    main()
