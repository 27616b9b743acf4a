"""Write `docs/reference/` from the code: settings, metrics, commands, errors, runtimes, JSON Schemas.

    python tools/make_reference.py            write the files
    python tools/make_reference.py --check    say which are stale, and exit with 1 if any is

The output depends on the code alone, so a test can compare it with what is there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from reference import cli, control_settings, errors, metrics, model_settings, node_settings, runtimes, service_settings

from shoal.core.settings import model_file_schema
from shoal.core.settings.services import service_file_schema

HOME = Path(__file__).parent.parent / "docs/reference"


def files() -> dict[str, str]:
    """Every file by name."""
    return {
        "model-yaml.md": model_settings.make(),
        "model.schema.json": _json(model_file_schema()),
        "service-yaml.md": service_settings.make(),
        "service.schema.json": _json(service_file_schema()),
        "settings.md": node_settings.make(),
        "node.schema.json": _json(node_settings.schema()),
        "control-settings.md": control_settings.make(),
        "control.schema.json": _json(control_settings.schema()),
        "metrics.md": metrics.make(),
        "cli.md": cli.make(),
        "errors.md": errors.make(),
        "runtimes.md": runtimes.make(),
    }


def stale(made: dict[str, str]) -> list[str]:
    """The names of files that are missing, differ, or should not be there."""
    there = {path.name: path.read_text("utf-8") for path in HOME.iterdir()} if HOME.is_dir() else {}
    return sorted(name for name in made.keys() | there.keys() if made.get(name) != there.get(name))


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is stale")
    check = parser.parse_args().check
    made = files()
    changed = stale(made)
    if check:
        sys.stderr.writelines(f"docs/reference/{name} is stale: run `make reference`\n" for name in changed)
        return 1 if changed else 0
    HOME.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in made:
            (HOME / name).write_text(made[name], "utf-8")
        else:
            (HOME / name).unlink()
    return 0


def _json(value: object) -> str:
    return json.dumps(value, indent=2, sort_keys=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
