"""Ask whether holes are known in the packages of the lock files: `pip-audit`, whose silence is not taken for an answer.

    python tools/audit.py [LOCK ...]        `requirements.lock` by default

Who knows of no hole and who could not ask look the same from outside. So a version with a well-known hole is asked
about first: where nothing is known of that, nothing is known here at all. That is said, and is no failure, as machines
without a way out run this, too; with `--must` it is one.

    0   no known holes, or nobody could be asked
    1   holes, each named with the versions that close it
    2   nobody could be asked, and `--must` was said
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
CANARY = "h11==0.14.0"
"""CVE-2025-43859, since 2025 in every list of advisories."""
SECONDS = 300.0


class Unreachable(Exception):
    """Advisories could not be asked for; the sentence says why."""


def asked(lock: Path) -> dict[str, Any]:
    """What pip-audit says of a lock file.

    Raises:
        Unreachable: it gave no answer.
    """
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--no-deps", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"no answer within {SECONDS:.0f} s") from error
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Unreachable(last[:200]) from error
    return told


def holes(told: dict[str, Any]) -> list[str]:
    """A line for each hole that an answer names."""
    return [
        f"{each['name']} {each['version']}: {hole['id']}, closed in {' or '.join(hole['fix_versions']) or 'no version'}"
        for each in told["dependencies"]
        for hole in each.get("vulns", ())
    ]


def skipped(told: dict[str, Any]) -> list[str]:
    """A line for each package of which nothing could be learned."""
    return [f"{each['name']}: {each['skip_reason']}" for each in told["dependencies"] if "skip_reason" in each]


def reach() -> None:
    """Return if advisories can be asked for.

    Raises:
        Unreachable: they cannot.
    """
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder) / "canary.txt"
        canary.write_text(f"{CANARY}\n", "utf-8")
        if not holes(asked(canary)):
            raise Unreachable(f"nothing is known there of the hole in {CANARY}")


def audit(locks: list[Path]) -> int:
    """Ask about each lock, and say what came of it; the number of holes.

    Raises:
        Unreachable: advisories cannot be asked for.
    """
    reach()
    found = 0
    for lock in locks:
        told = asked(lock)
        here, unknown = holes(told), skipped(told)
        found += len(here)
        sys.stdout.writelines(f"{lock.name}: {line}\n" for line in (*here, *unknown))
        sys.stdout.write(f"{lock.name}: {len(told['dependencies'])} packages, {len(here)} known holes\n")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask whether holes are known in the packages of lock files.")
    parser.add_argument("locks", nargs="*", type=Path, default=[ROOT / "requirements.lock"])
    parser.add_argument("--must", action="store_true", help="fail where advisories cannot be asked for")
    said = parser.parse_args()
    try:
        return 1 if audit(said.locks) else 0
    except Unreachable as error:
        sys.stderr.write(f"NOT AUDITED: advisories cannot be asked for from here: {error}\n")
        return 2 if said.must else 0


if __name__ == "__main__":
    raise SystemExit(main())
