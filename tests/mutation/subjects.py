"""What is changed in small wrong ways, and by which tests it is held."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Subject:
    """Paths are relative, to `src/shoal` and to the project; folders stand for what is in them."""

    modules: tuple[str, ...]
    tests: tuple[str, ...]

    def files(self) -> list[Path]:
        found = (ROOT / "src/shoal" / module for module in self.modules)
        return [file for each in found for file in (sorted(each.glob("*.py")) if each.is_dir() else [each])]


def _of(folder: str, names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}.py" for name in names.split())


SUBJECTS = {
    "batcher": Subject(
        (
            *_of("serving/batching", "batcher policy sizing ledger quarantine poison deadlines"),
            "serving/batching/waiting",
        ),
        ("tests/serving/batching", "tests/property/test_batcher_machine.py"),
    ),
    "retry budget": Subject(
        ("serving/hop/policy/retries.py", "client/retry.py"),
        ("tests/serving/hop/policy/test_retries.py", "tests/client/test_retry.py"),
    ),
    "authorisation": Subject(
        (
            "core/access.py",
            *_of("serving/gateway/guard", "needs guard"),
            *_of("control/security", "rules desk granting"),
        ),
        ("tests/core/test_access.py", "tests/serving/gateway/guard", "tests/control/security"),
    ),
    "extractor": Subject(("control/artifacts/intake",), ("tests/control/artifacts/intake",)),
}
