"""What a shared pool is told to be, and what it counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from shoal.core.model import ModelSpec
from shoal.core.placement.residents import MIN_RESIDENCE


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSettings:
    """How a shared pool is run.

    Attributes:
        workers: worker processes.
        threads: threads of BLAS, OpenMP and the frameworks in each.
        memory_bytes: what the models of one worker may take together, or None: no bound.
        max_models: models of one worker, or None: no bound.
        limit_bytes: memory of one worker that the kernel enforces, or None: no limit.
        idle_seconds: a model that nobody has used for so long is let go of; None: never.
        min_residence: see `core.placement.residents`.
        preload: runtimes that workers import before they are ready, so that no load has to.
        shard: workers that the models of one tenant may be in, or None: all.
        remembered: models of which the pool remembers what was found out about them, when they are not in memory.
        max_requests: requests after which a worker is replaced, or None: never.
        environment: environment variables of the workers.
    """

    workers: int = 1
    threads: int = 1
    memory_bytes: int | None = None
    max_models: int | None = None
    limit_bytes: int | None = None
    idle_seconds: float | None = 600.0
    min_residence: float = MIN_RESIDENCE
    preload: tuple[str, ...] = ()
    shard: int | None = None
    remembered: int = 10_000
    max_requests: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Counters:
    """What has happened in a shared pool since it was made; for the metrics.

    Attributes:
        loads, load_seconds: models that were loaded, and how long that took in the worker, together.
        load_failures: loads that failed.
        evictions: models that were let go of, by why: ``pressure``, ``idle``, ``limit``, ``stopped``.
        reclaimed_bytes: what the system has got back for them, as measured.
        refused: models for which there was no room.
        replaced: workers that were replaced because they did not give memory back, or were worn.
        deaths: workers that died unasked, by reason.
    """

    loads: int = 0
    load_seconds: float = 0.0
    load_failures: int = 0
    evictions: Counter[str] = field(default_factory=Counter)
    reclaimed_bytes: int = 0
    refused: int = 0
    replaced: int = 0
    deaths: Counter[str] = field(default_factory=Counter)


def label(spec: ModelSpec) -> str:
    """How a model version is named in sentences: ``iris/3@team-a``."""
    version = f"/{spec.version}" if spec.version else ""
    tenant = f"@{spec.tenant}" if spec.tenant else ""
    return f"{spec.name}{version}{tenant}"
