"""The environment variables that a worker sees. Pure.

A worker gets what programs need to find their files and libraries, the thread limits of the numeric libraries (set
before any of them is imported), and what the model's settings say; that comes last and wins. Nothing that looks like
a secret of the node is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping

THREAD_LIMITS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMEXPR_MAX_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS",
    "TORCH_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "XGBOOST_NUM_THREADS",
)  # fmt: skip
"""Set to the model's `limits.threads`, unless the user says otherwise."""

KEPT = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH",
    "LD_PRELOAD", "VIRTUAL_ENV", "CONDA_PREFIX", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_COLOR",
})  # fmt: skip
KEPT_PREFIXES = (
    "LC_", "XDG_", "PYTHON", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "GOTO_", "TORCH", "PYTORCH", "TF_", "XLA_", "KERAS",
    "HF_", "TRANSFORMERS_", "CUDA", "NVIDIA", "NCCL", "ORT_", "MALLOC_", "MLFLOW_", "SKLEARN_", "JOBLIB_",
)  # fmt: skip
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


def worker_environment(
    outside: Mapping[str, str], *, threads: int, settings: Mapping[str, str] | None = None
) -> dict[str, str]:
    """What a worker's environment is.

    Args:
        outside: the node's own environment.
        threads: threads of BLAS, OpenMP and the frameworks.
        settings: what the model's settings add; wins over all else.
    """
    kept = {name: value for name, value in outside.items() if _passes(name)}
    limits = {name: str(threads) for name in THREAD_LIMITS if name not in kept}
    fixed = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "TF_CPP_MIN_LOG_LEVEL": "2"}
    return {**fixed, **limits, **kept, **(settings or {})}


def _passes(name: str) -> bool:
    upper = name.upper()
    if any(word in upper for word in SECRETS):
        return False
    return upper in KEPT or upper in THREAD_LIMITS or upper.startswith(KEPT_PREFIXES)
