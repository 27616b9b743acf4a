"""Nothing of ours can be made to run code by the bytes that it reads, but one reviewed module, which asks for trust."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

REVIEWED = {"serving/adapters/pickles.py"}
"""Loads scikit-learn's and PyTorch's own pickles: in a worker, and only what somebody has said to trust."""
MODULES = {
    "pickle", "_pickle", "cPickle", "pickletools", "dill", "cloudpickle", "joblib", "shelve", "marshal", "multiprocessing",
    "concurrent.futures.process", "xmlrpc", "code", "codeop", "runpy", "imp",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}
CALLS = {"read_pickle", "recv_pyobj", "send_pyobj", "unsafe_load", "full_load", "load_all", "unsafe_load_all", "full_load_all",
         "to_pickle", "ProcessPoolExecutor"}  # fmt: skip


def findings(tree: ast.AST) -> Iterator[str]:
    """What of a source could load code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (f"import {each.name}" for each in node.names if _is_bad(each.name))
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = (node.module or "", *(f"{node.module}.{each.name}" for each in node.names))
            yield from (f"from {name}" for name in names[:1] if _is_bad(name))
            yield from (name for name in names[1:] if name in MODULES or name.rpartition(".")[2] in CALLS)
        elif isinstance(node, ast.Call):
            yield from _of_call(node)


def _is_bad(module: str) -> bool:
    return module in MODULES or module.split(".")[0] in MODULES


def _of_call(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    said = {each.arg: ast.unparse(each.value) for each in node.keywords}
    if called in BUILTINS or called.rpartition(".")[2] in CALLS:
        yield called
    elif called.endswith("yaml.load") or (called.rpartition(".")[2] in ("compose", "parse") and "yaml" in called):
        loader = said.get("Loader", ast.unparse(node.args[1]) if len(node.args) > 1 else "")
        if "Safe" not in loader and loader != "_Loader":
            yield f"{called} with {loader or 'its own loader'}"
    elif called.endswith("torch.load") and said.get("weights_only") != "True":
        yield "torch.load of more than weights"
    elif said.get("allow_pickle", "False") != "False":
        yield f"{called}(allow_pickle)"


def test_no_source_loads_code_from_what_it_reads(sources: dict[str, ast.AST]) -> None:
    found = {name: here for name, tree in sources.items() if name not in REVIEWED and (here := list(findings(tree)))}
    assert found == {}


def test_the_reviewed_module_is_the_one_that_loads_pickles(sources: dict[str, ast.AST]) -> None:
    assert all(list(findings(sources[each])) for each in REVIEWED)


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import pickle as p",
        "from pickle import loads",
        "from marshal import loads",
        "import multiprocessing.connection",
        "from multiprocessing import Queue",
        "import joblib",
        "eval('1')",
        "exec(text)",
        "__import__(name)",
        "yaml.load(text)",
        "yaml.load(text, Loader=yaml.Loader)",
        "yaml.load(text, yaml.FullLoader)",
        "yaml.unsafe_load(text)",
        "torch.load(file)",
        "torch.load(file, weights_only=False)",
        "np.load(file, allow_pickle=True)",
        "np.load(file, allow_pickle=flag)",
        "pandas.read_pickle(file)",
        "socket.recv_pyobj()",
        "from concurrent.futures import ProcessPoolExecutor",
    ],
)
def test_what_would_load_code_is_found(source):
    assert list(findings(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    [
        "import json",
        "yaml.safe_load(text)",
        "yaml.load(text, Loader=yaml.CSafeLoader)",
        "yaml.compose(text, _Loader)",
        "torch.load(file, weights_only=True)",
        "np.load(file)",
        "np.load(file, allow_pickle=False)",
        "module.eval()",
        "re.compile(text)",
        "asyncio.create_subprocess_exec(*words)",
        "from concurrent.futures import ThreadPoolExecutor",
    ],
)
def test_what_is_harmless_is_not(source):
    assert list(findings(ast.parse(source))) == []
