"""The environment variables that a worker sees. Pure.

A worker gets nothing of the node's environment but what is named here, because programs need it to find their files and
libraries; the thread limits of the numeric libraries, set before any of them is imported; and what the model's settings
say, which comes last and wins. What is named like a secret is not passed on whatever its name begins with, nor is an
address with a password in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

THREAD_LIMITS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS",
    "TORCH_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "XGBOOST_NUM_THREADS",
)  # fmt: skip
"""Set to the model's `limits.threads`, unless the user says otherwise."""

KEPT = {
    "PATH": "programs that libraries call",
    "HOME": "packages of the user, before the worker has a home of its own",
    "USER": "asked for by libraries that name things after it",
    "LOGNAME": "as USER",
    "LANG": "how text is read and written",
    "LANGUAGE": "as LANG",
    "TZ": "local time",
    "TMPDIR": "temporary files, before the worker has a folder of its own",
    "TEMP": "as TMPDIR",
    "TMP": "as TMPDIR",
    "LD_LIBRARY_PATH": "shared libraries, CUDA's above all",
    "LD_PRELOAD": "an allocator that the operator has chosen",
    "VIRTUAL_ENV": "packages that look for their environment",
    "CONDA_PREFIX": "as VIRTUAL_ENV",
    "SSL_CERT_FILE": "authorities, for models with a network",
    "SSL_CERT_DIR": "as SSL_CERT_FILE",
    "NO_COLOR": "output without colours, as it goes to the log",
}
"""Variables of the node that a worker is given, and what for."""
KEPT_PREFIXES = {
    "LC_": "how text is read and written",
    "PYTHON": "the interpreter: its path, hashes, encodings",
    "OMP_": "threads of OpenMP", "KMP_": "threads of OpenMP",
    "MKL_": "threads and kernels of MKL", "OPENBLAS_": "threads and kernels of OpenBLAS", "GOTO_": "as OPENBLAS_",
    "TORCH": "PyTorch", "PYTORCH": "PyTorch", "TF_": "TensorFlow", "XLA_": "TensorFlow", "KERAS": "Keras",
    "HF_": "caches of Transformers", "TRANSFORMERS_": "caches of Transformers",
    "CUDA": "accelerators", "NVIDIA": "accelerators", "NCCL": "accelerators",
    "ORT_": "ONNX Runtime", "SKLEARN_": "scikit-learn", "JOBLIB_": "scikit-learn", "MALLOC_": "the allocator",
}  # fmt: skip
"""How the names of further ones begin."""
SECRETS = (
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "CREDENTIAL",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "_AUTH",
    "_URI",
)
_USER_IN_URL = re.compile(r"://[^/\s]*@")


def worker_environment(
    outside: Mapping[str, str], *, threads: int, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a worker's environment is.

    Args:
        outside: the node's own environment.
        threads: threads of BLAS, OpenMP and the frameworks.
        settings: what the model's settings add; wins over all else.
    """
    kept = {name: value for name, value in outside.items() if _passes(name, value)}
    limits = {name: str(threads) for name in THREAD_LIMITS if name not in kept}
    fixed = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return {**fixed, **limits, **kept, **(settings or {})}


def _passes(name: str, value: str) -> bool:
    upper = name.upper()
    if any(word in upper for word in SECRETS) or _USER_IN_URL.search(value):
        return False
    return upper in KEPT or upper in THREAD_LIMITS or upper.startswith(tuple(KEPT_PREFIXES))
