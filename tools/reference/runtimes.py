"""The page of the runtimes: the catalogue's, the formats' and the adapters' own words. Imports no framework."""

from __future__ import annotations

import ast
import importlib.util
import re
import tempfile
from pathlib import Path

from reference.markdown import page, prose, table

from shoal.core.formats import SUFFIXES, code_in
from shoal.serving.adapters.catalog import GROUP, RUNTIMES, Runtime

INTRODUCTION = """\
A runtime is a ready adapter for the files of one framework. It is told from the files; `runtime:` in
[model.yaml](model-yaml.md) says it where they do not. Libraries come with an extra: `pip install 'shoal[EXTRA]'`.

Files that can run code when they are loaded are refused unless you say that you trust them: `trust: code` in
`model.yaml`, or `shoal serve --trust`. A disguised file is told by its content, not by its name.
"""

OTHERS = f"""\
A package may bring a runtime of its own, as an entry point of the group `{GROUP}`: name -> `module:Class`, where the
class is an `Adapter` of `shoal.serving.adapters.base`.
"""

FOLDERS = {
    "mlflow": "a folder with `MLmodel`",
    "tensorflow": "a SavedModel folder (`saved_model.pb`)",
    "transformers": "a Hugging Face folder (`config.json` and weights)",
    "python": "a folder with `model.py`",
}

TORCH = "`.pt`, `.ts`: no, if it is TorchScript; exported programs and pickled modules: yes"


def make() -> str:
    """The page."""
    rows = [
        (f"[`{name}`](#{name})", _files(name), f"`shoal[{runtime.extra}]`" if runtime.extra else "", _trust(name))
        for name, runtime in RUNTIMES.items()
    ]
    sections = [f"## {name}\n\n{_described(runtime)}" for name, runtime in RUNTIMES.items()]
    head = ("runtime", "files", "install", "needs trust")
    return page("Runtimes", INTRODUCTION, table(head, rows), *sections, "## Others", OTHERS)


def _files(name: str) -> str:
    suffixes = ", ".join(f"`{each}`" for each in SUFFIXES.get(name, ()))
    return ", ".join(each for each in (suffixes, FOLDERS.get(name, "")) if each)


def _trust(name: str) -> str:
    """Asked of the code itself, with an empty file of each ending."""
    if name == "torch":
        return TORCH
    with tempfile.TemporaryDirectory() as home:
        asked = {suffix: code_in(name, _empty(Path(home), suffix)) for suffix in SUFFIXES.get(name, ("",))}
    trusted = [suffix for suffix, reason in asked.items() if reason]
    if not trusted:
        return "no"
    return "yes" if len(trusted) == len(asked) else ", ".join(f"`{each}`" for each in trusted) + ": yes"


def _empty(home: Path, suffix: str) -> Path:
    file = home / f"model{suffix}"
    file.touch()
    return file


def _described(runtime: Runtime) -> str:
    """The docstring of the runtime's module (and of `Model`, for classes of your own), without its title."""
    module = runtime.home.partition(":")[0]
    if module.endswith(".python"):
        module = module.replace(".python", ".model")
    title, _, text = _docstring(module).partition("\n\n")
    first = title.partition(": ")[2]
    return prose(_with_lists(f"{first[:1].upper()}{first[1:]}\n\n{text}"))


def _docstring(module: str) -> str:
    found = importlib.util.find_spec(module)
    assert found is not None
    assert found.origin is not None
    return ast.get_docstring(ast.parse(Path(found.origin).read_text())) or ""


def _with_lists(text: str) -> str:
    """Indented `name   meaning` lines become a table; other indented lines stay a block of code."""

    def to_table(match: re.Match[str]) -> str:
        rows = re.findall(r"^ {4}(\S.*?) {2,}(.+)$", match[0], flags=re.MULTILINE)
        made = table(
            ("parameter", "meaning"), ((name if " " in name else f"`{name}`", meaning) for name, meaning in rows)
        )
        return f"Parameters:\n\n{made}\n"

    return re.sub(r"^Parameters:\n(?: {4}.+\n)+", to_table, text, flags=re.MULTILINE)
