"""Where the benchmarks keep their things; `.work/` holds all that can be made again."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
WORK = HERE / ".work"
ENVIRONMENTS = WORK / "envs"
MODELS = WORK / "models"
BODIES = WORK / "bodies"
LOGS = WORK / "logs"
SERVERS = HERE / "servers"
REQUIREMENTS = HERE / "requirements"
README = HERE / "README.md"
SHOAL = HERE.parent / ".venv" / "bin" / "shoal"
PYTHON = HERE.parent / ".venv" / "bin" / "python"


def prepare() -> None:
    """Makes the folders."""
    for folder in (ENVIRONMENTS, MODELS, BODIES, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
