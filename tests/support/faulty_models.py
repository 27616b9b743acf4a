"""A folder of models that misbehave on demand: what the end-to-end fault tests serve."""

from __future__ import annotations

from pathlib import Path

SETTINGS = """\
runtime: python
implementation: model:{kind}
trust: code
parameters: {{load: "{load}"}}
batching: {{policy: {policy}, max_size: {size}, max_wait_ms: {wait}}}
limits: {{workers: {workers}, timeout_seconds: {timeout}, execution_seconds: {execution}{more}}}
"""


def faulty_model(
    folder: Path,
    name: str,
    *,
    kind: str = "FaultModel",
    policy: str = "adaptive",
    size: int = 32,
    wait: float = 20.0,
    workers: int = 1,
    timeout: float = 20.0,
    execution: float = 10.0,
    more: str = "",
    load: str = "",
) -> None:
    """Write a model of `shoal.testing.faults` (`FaultModel` or `OracleModel`) into a folder of models."""
    home = folder / name
    home.mkdir(parents=True)
    (home / "model.py").write_text(f"from shoal.testing.faults import {kind}\n\n__all__ = ['{kind}']\n")
    (home / "model.yaml").write_text(
        SETTINGS.format(
            kind=kind,
            policy=policy,
            size=size,
            wait=wait,
            workers=workers,
            timeout=timeout,
            execution=execution,
            more=more,
            load=load,
        )
    )
