"""Write what Shoal runs on as a bill of materials: CycloneDX 1.6 in JSON.

    python tools/sbom.py [FOLDER]      write FOLDER/shoal-VERSION.cdx.json (`dist` by default) and print where

Components are the packages that Shoal and its extras need, in the versions of `requirements.lock`; what they are is
read from the installed packages, which must be those of the lock. Tools of developers are left out, and so are extras
that the lock does not hold: they are named in a property. The same lock gives the same bytes.
"""

from __future__ import annotations

import json
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from licences import licences_of
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SPACE = uuid.UUID("6f1d7f5e-0d2c-5a3b-9a63-5b2c0a8e7d41")
"""The namespace of serial numbers: that of a document depends on its content alone."""
Graph = dict[str, set[str]]


def locked(text: str) -> dict[str, str]:
    """Versions by name of a lock file."""
    pins = [line.split("==") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {canonicalize_name(name): version.strip() for name, version in pins}


def wanted(requirements: Iterable[str], extras: Iterable[str] = ()) -> Iterator[Requirement]:
    """Those that count on this machine, given these extras of whoever requires them."""
    for each in map(Requirement, requirements):
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in (*extras, "")):
            yield each


def closure(roots: Iterable[Requirement], lock: Mapping[str, str]) -> Graph:
    """All that is needed, each with what it needs itself.

    Raises:
        KeyError: the lock misses one; it has its name.
    """
    found: Graph = {}
    asked: dict[str, set[str]] = {}
    waiting = list(roots)
    while waiting:
        each = waiting.pop()
        name = canonicalize_name(each.name)
        extras = asked.setdefault(name, set())
        if name in found and each.extras <= extras:
            continue
        if name not in lock:
            raise KeyError(name)
        extras |= each.extras
        needs = list(wanted(metadata.requires(name) or (), extras))
        found[name] = {canonicalize_name(need.name) for need in needs}
        waiting += needs
    return found


def component(name: str, version: str, extras: Iterable[str], *, required: bool) -> dict[str, Any]:
    """One package of the bill.

    Raises:
        ValueError: another version is installed.
    """
    told = metadata.metadata(name)
    if told["Version"] != version:
        raise ValueError(f"{name} {told['Version']} is installed, the lock says {version}: run `make install`")
    made = {
        "type": "library",
        "bom-ref": purl(name, version),
        "name": told["Name"],
        "version": version,
        "description": " ".join((told["Summary"] or "").split()),
        "scope": "required" if required else "optional",
        "licenses": licences_of(told),
        "purl": purl(name, version),
        "properties": [{"name": "shoal:extra", "value": extra} for extra in sorted(extras)],
    }
    return {key: value for key, value in made.items() if value}


def purl(name: str, version: str) -> str:
    """The address of a package: https://github.com/package-url/purl-spec."""
    return f"pkg:pypi/{name}@{version}"


def bill(project: Mapping[str, Any], version: str, lock: Mapping[str, str]) -> dict[str, Any]:
    """The document.

    Args:
        project: the table of that name of pyproject.toml.
        version: of Shoal.
        lock: versions by name.
    """
    core = closure(wanted(project["dependencies"]), lock)
    graph, users, missing = dict(core), {name: set[str]() for name in core}, []
    for extra, requirements in project["optional-dependencies"].items():
        try:
            more = closure(wanted(requirements), lock)
        except KeyError:
            missing.append(extra)
            continue
        for name, needs in more.items():
            graph[name] = graph.get(name, set()) | needs
            if name not in core:
                users.setdefault(name, set()).add(extra)
    own = purl("shoal", version)
    direct = {canonicalize_name(each.name) for each in wanted(project["dependencies"])}
    links: Graph = {own: direct, **{purl(name, lock[name]): needs for name, needs in graph.items()}}
    made = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": own,
                "name": "shoal",
                "version": version,
                "description": project["description"],
                "licenses": [{"expression": project["license"]}],
                "purl": own,
                "properties": [{"name": "shoal:extra-not-locked", "value": extra} for extra in sorted(missing)],
            },
        },
        "components": [component(name, lock[name], users[name], required=name in core) for name in sorted(graph)],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(purl(need, lock[need]) for need in needs)}
            for ref, needs in sorted(links.items())
        ],
    }
    serial = uuid.uuid5(SPACE, json.dumps(made, sort_keys=True))
    return {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", **made, "serialNumber": f"urn:uuid:{serial}"}


def main(folder: str = "dist") -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    version = metadata.version("shoal")
    made = bill(project, version, locked((ROOT / "requirements.lock").read_text("utf-8")))
    path = Path(folder) / f"shoal-{version}.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n", "utf-8")
    sys.stdout.write(f"{path}: {len(made['components'])} packages\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
