"""Makes the files of a new project from templates. Pure: name, kind and framework in, texts out."""

from __future__ import annotations

import re
from importlib import resources
from string import Template
from textwrap import indent

from shoal.cli.frameworks import FRAMEWORKS, Framework
from shoal.core.errors import ConfigError

VALID_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

ABOUT = {
    "no-code": "A model that is served by settings alone: `model.yaml` says which file, Shoal knows the rest.",
    "low-code": "A model with a class of its own around it: `model.py` loads and predicts, Shoal does the rest.",
    "full-custom": "A model with endpoints of its own beside it: `app.py` is a FastAPI app behind the same port.",
}
FILES = {
    "train.py": "trains the model",
    "model.yaml": "how it is served",
    "model.py": "loads the model and predicts",
    "app.py": "further endpoints, below `/models/<name>/app/`",
    "test_model.py": "serves it and asks it",
    "requirements.txt": "what it needs",
}
TEST_ARRAYS = """\
if not (HERE / "{artifact}").exists():
    subprocess.run([sys.executable, HERE / "train.py"], check=True)
with serve(HERE, trust=True) as node, node.client() as client:
    answer = client.infer("{name}", {{"x": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]}})
    assert answer.outputs[0].shape[0] == 2
"""
TEST_TEXT = """\
with serve(HERE, trust=True) as node, node.client() as client:
    assert client.predict_all("{name}", ["abc", "漢字"]) == ["cba", "字漢"]
"""
TEST_APP = """\
    with urllib.request.urlopen(f"{node.url}/models/$name/app/about") as page:
        assert b"$name" in page.read()
"""


def project_files(name: str, kind: str, framework: str) -> dict[str, str]:
    """The files of a project by name.

    Args:
        name: of the project and its model.
        kind: ``no-code``, ``low-code`` or ``full-custom``.
        framework: one of `FRAMEWORKS`, or ``text``.

    Raises:
        ConfigError: a name that cannot be a model's, or a combination that makes no sense.
    """
    if not VALID_NAME.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be a model's name", hint="use letters, digits, '.', '_' and '-'")
    if framework == "text":
        if kind == "no-code":
            raise ConfigError("a text model is code of your own", hint="use --kind low-code")
        return _text_project(name, kind)
    return _array_project(name, kind, framework)


def _array_project(name: str, kind: str, framework: str) -> dict[str, str]:
    chosen = FRAMEWORKS[framework]
    coded = kind != "no-code"
    words = {
        "name": name,
        "framework": framework,
        "class_name": _class_name(name),
        "artifact": chosen.artifact,
        "train_imports": chosen.train_imports,
        "train": indent(chosen.train, " " * 4),
        "load_imports": chosen.load_imports,
        "load": indent(chosen.load, " " * 8),
        "predict": indent(chosen.predict, " " * 8),
    }
    files = {
        "train.py": _fill("train.py", words),
        "model.yaml": _settings(kind, framework, chosen, words["class_name"]),
    }
    if coded:
        files["model.py"] = _fill("model.py", words)
    test = TEST_ARRAYS.format(artifact=chosen.artifact, name=name)
    return _finish(files, kind, words, test, chosen.requirements, trusted=coded or chosen.code, trained=True)


def _text_project(name: str, kind: str) -> dict[str, str]:
    words = {"name": name, "framework": "text", "class_name": _class_name(name)}
    files = {
        "model.py": _fill("text_model.py", words),
        "model.yaml": _settings(kind, "text", None, words["class_name"]),
    }
    return _finish(files, kind, words, TEST_TEXT.format(name=name), (), trusted=True, trained=False)


def _finish(
    files: dict[str, str],
    kind: str,
    words: dict[str, str],
    test: str,
    requirements: tuple[str, ...],
    *,
    trusted: bool,
    trained: bool,
) -> dict[str, str]:
    """Add what every project has: test, requirements, README, and the app of a full-custom one."""
    imports = ["import subprocess", "import sys"] if trained else []
    if kind == "full-custom":
        files["app.py"] = _fill("app.py", words)
        test += Template(TEST_APP).substitute(words)
        imports.append("import urllib.request")
        requirements = (*requirements, "fastapi", "uvicorn")
    files["test_model.py"] = _fill("test_model.py", {"test_imports": "\n".join(imports), "test": indent(test, " " * 4)})
    files["requirements.txt"] = "\n".join(["shoal", *requirements, "pytest"]) + "\n"
    files["README.md"] = _readme(files, kind, words, trusted=trusted, trained=trained)
    return {name: text.rstrip() + "\n" for name, text in files.items()}


def _settings(kind: str, framework: str, chosen: Framework | None, class_name: str) -> str:
    lines = ["# All fields: docs/reference/model-yaml.md of Shoal."]
    if kind == "no-code" and chosen is not None:
        lines += [f"runtime: {framework}", f"path: {chosen.artifact}"]
        lines += ["trust: code   # a pickle can run code when it is loaded; this one is ours"] * chosen.code
    else:
        lines += ["runtime: python", f"implementation: model:{class_name}", "trust: code"]
    if kind == "full-custom":
        lines.append("app: app:app")
    lines += ["batching:", "  policy: adaptive", "limits:", "  timeout_seconds: 10s"]
    return "\n".join(lines)


def _readme(files: dict[str, str], kind: str, words: dict[str, str], *, trusted: bool, trained: bool) -> str:
    name = words["name"]
    data = "--data '[[5.1, 3.5, 1.4, 0.2]]'" if trained else "--text 'hello'"
    commands = ["pip install -r requirements.txt", *["python train.py"] * trained]
    commands.append(f"shoal serve .{' --trust' * trusted}")
    commands += [f"shoal predict {name} {data}", "pytest"]
    listed = "\n".join(f"| `{file}` | {FILES[file]} |" for file in FILES if file in files)
    told = {"name": name, "about": ABOUT[kind], "commands": "\n".join(commands), "files": listed}
    return _fill("README.md", told)


def _fill(template: str, words: dict[str, str]) -> str:
    text = resources.files("shoal.cli").joinpath("templates", f"{template}.txt").read_text("utf-8")
    return Template(text).substitute(words)


def _class_name(name: str) -> str:
    words = re.split(r"[._-]+", name)
    joined = "".join(word[:1].upper() + word[1:] for word in words)
    return joined if joined[:1].isalpha() else f"Model{joined}"
