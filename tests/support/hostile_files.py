"""Files of models that nobody writes by accident: pickles, code, settings. What would run leaves a file `canary` behind."""

from __future__ import annotations

import os
import pickle


class Canary:
    """Unpickling it would leave a trace."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch canary",)


PICKLES = [pickle.dumps(Canary(), protocol) for protocol in range(6)]
BYPASSES = [
    b"cpkgutil\nresolve_name\n(S'os:system'\ntR(S'touch canary'\ntR.",
    b"cpty\nspawn\n(S'touch canary'\ntR.",
    b"cprofile\nrun\n(S'import os; os.system(\"touch canary\")'\ntR.",
    b"cuuid\n_get_command_stdout\n(S'touch'\nS'canary'\ntR.",
    b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x22import os; os.system('touch canary')\x85R.",
]
"""Pickles that get by those who look for the usual names."""
CODE = b"import os\nos.system('touch canary')\n"

BOMBS = {
    "aliases": b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (97 + n, 97 + n, b", ".join([b"*%c" % (96 + n)] * 9)) for n in range(1, 10)),
    "merges": b"a: &a {x: 1}\nb: &b {<<: [*a, *a, *a, *a]}\nc: {<<: [*b, *b, *b, *b]}\n",
    "tags": b"description: !!python/object/apply:os.system ['touch canary']\n",
    "modules": b"description: !!python/module:antigravity\n",
    "binary": b"description: !!binary aGVsbG8=\n",
    "depth": b"parameters: " + b"[" * 5000 + b"]" * 5000 + b"\n",
    "size": b"description: '" + b"x" * 20_000_000 + b"'\n",
    "endless key": b"? " + b"k" * 2_000_000 + b"\n: 1\n",
    "twice": b"runtime: onnx\nruntime: sklearn\n",
    "documents": b"runtime: onnx\n---\nruntime: onnx\n",
    "no text": b"\xff\xfe\x00r",
    "a list": b"- runtime: onnx\n",
}
