"""Runs fuzz targets one after the other, each in a process of its own, and says what came of them.

    python -m tests.fuzz.run --seconds 60 [--target NAME] [--keep]
    python -m tests.fuzz.run --replay FILE --target NAME

What breaks a target is kept under `tests/fuzz/crashes/TARGET/`, with the command that runs it again. Work files lie in
`tests/fuzz/.work/`; `--keep` adds those that take steps in the code which the kept corpus does not, as far as there is
room.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from fuzz.keeping import keep  # noqa: E402
from fuzz.registry import TARGETS  # noqa: E402 - found beside this file, wherever it is started
from fuzz.target import CORPUS, CRASHES, HERE, MAX_INPUT, Target, run_bounded  # noqa: E402

WORK = HERE / ".work"
_STATUS = re.compile(r"#(\d+)\t(?:DONE|pulse|NEW|REDUCE|RELOAD|INITED)\s+cov: (\d+) ft: (\d+) corp: (\d+)")


def main() -> int:
    """The number of targets that broke, as an exit code."""
    options = _options()
    targets = [TARGETS[options.target]] if options.target else list(TARGETS.values())
    if options.replay:
        run_bounded(targets[0], options.replay.read_bytes())
        print(f"{targets[0].name}: {options.replay} holds")
        return 0
    broken = sum(not _fuzz(target, options.seconds) for target in targets)
    if options.keep:
        for target in targets:
            inputs = [path.read_bytes() for path in (WORK / target.name).iterdir()]
            print(f"{target.name:16} {keep(target, inputs):>3} inputs kept")
    return min(broken, 100)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="coverage-guided fuzzing of the parsers")
    parser.add_argument("--seconds", type=int, default=60, help="per target")
    parser.add_argument("--target", choices=sorted(TARGETS), help="one of them; by default all")
    parser.add_argument("--keep", action="store_true", help="add what is new to the kept corpus")
    parser.add_argument("--replay", type=Path, help="run one file through --target, without the fuzzer")
    options = parser.parse_args()
    if options.replay and not options.target:
        parser.error("--replay needs --target")
    return options


def _fuzz(target: Target, seconds: int) -> bool:
    """Whether the target held."""
    work, crashes = WORK / target.name, CRASHES / target.name
    work.mkdir(parents=True, exist_ok=True)
    crashes.mkdir(parents=True, exist_ok=True)
    before, known = len(list(work.iterdir())), set(crashes.iterdir())
    seeds = _seed_folder(target)
    log = _child(
        target,
        f"-max_total_time={seconds}", f"-max_len={MAX_INPUT}", f"-artifact_prefix={crashes}/", "-rss_limit_mb=1024",
        "-timeout=10", "-print_final_stats=1", str(work), str(seeds),
    )  # fmt: skip
    found = _STATUS.findall(log)
    runs, coverage, features, _ = found[-1] if found else ("0", "0", "0", "0")
    new = len(list(work.iterdir())) - before
    print(
        f"{target.name:16} {int(runs):>9} executions  coverage {coverage:>5}  features {features:>6}  {new:>5} new inputs"
    )
    artifacts = sorted(set(crashes.iterdir()) - known)
    if artifacts or "DONE" not in log:
        _complain(target, artifacts, log)
        return False
    return True


def _seed_folder(target: Target) -> Path:
    folder = WORK / f"{target.name}.seeds"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    kept = (path.read_bytes() for path in sorted((CORPUS / target.name).glob("*")))
    for number, data in enumerate((*target.seeds(), *kept)):
        (folder / f"{number:03}").write_bytes(data[:MAX_INPUT])
    return folder


def _child(target: Target, *options: str) -> str:
    """What a run of libFuzzer says."""
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-W", "ignore", "-m", "fuzz.child", target.name, *options]
    done = subprocess.run(command, env=environment, cwd=TESTS.parent, capture_output=True, text=True, errors="replace")
    return done.stdout + done.stderr


def _complain(target: Target, artifacts: list[Path], log: str) -> None:
    print("\n".join(line for line in log.splitlines()[-40:] if not line.startswith("#")))
    for path in artifacts:
        shown = path.relative_to(TESTS.parent)
        print(f"{target.name} BROKE; run it again: python -m tests.fuzz.run --target {target.name} --replay {shown}")


if __name__ == "__main__":
    sys.exit(main())
