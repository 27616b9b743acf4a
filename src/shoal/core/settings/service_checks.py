"""What the fields of one service must be to each other.

Pure: fields in, problems out, each with the field that it is said at. What a field must be by itself is in
`service_schema`.
"""

from __future__ import annotations

from collections.abc import Iterator

from shoal.core.settings.documents import Path
from shoal.core.settings.service_schema import AutoscalingFields, DownloadFields, ServiceFields

Problem = tuple[Path, str]

REFERENCES = ("version", "stage", "alias")
EXCLUSIVE = (frozenset(REFERENCES), frozenset({"gpu", "device"}))
"""Fields of which one is said at most."""
TARGETS = ("concurrency", "rate", "latency_ms", "cpu_percent", "gpu_percent")
OF_OWN_WORKERS = (
    "cpu", "memory", "gpu", "device", "port", "autoscaling", "runtime_environment", "variables", "network",
)  # fmt: skip
"""Fields that have no meaning for seats in workers that belong to others too."""
OF_SHARED_WORKERS = ("pool", "pinned")


def check(fields: ServiceFields) -> list[Problem]:
    """Everything that does not fit together."""
    return [
        *_one_reference(fields, ()),
        *_device(fields),
        *_placement(fields),
        *_replicas(fields),
        *_scaling(fields),
        *_times(fields),
        *_artifacts(fields.artifacts),
    ]


def _one_reference(fields: ServiceFields | DownloadFields, path: Path) -> Iterator[Problem]:
    said = [name for name in REFERENCES if getattr(fields, name) is not None]
    for name in said[1:]:
        yield (*path, name), f"only one of version, stage and alias may be said, and there is {said[0]} already"


def _device(fields: ServiceFields) -> Iterator[Problem]:
    if fields.gpu and fields.device:
        yield ("device",), "only one of gpu and device may be said"
    for name, each in (("gpu", fields.gpu), ("device", fields.device)):
        if each and each.memory is not None and each.count != 1:
            yield (name, "memory"), "is for a part of one card: it goes with count: 1"


def _placement(fields: ServiceFields) -> Iterator[Problem]:
    shared = fields.placement == "shared"
    needed = "dedicated" if shared else "shared"
    for name in OF_OWN_WORKERS if shared else OF_SHARED_WORKERS:
        if name in fields.model_fields_set and getattr(fields, name) is not None:
            yield (name,), f"is for placement: {needed}, and the placement here is {fields.placement}"


def _replicas(fields: ServiceFields) -> Iterator[Problem]:
    scaling = fields.autoscaling
    if fields.replicas is None:
        return
    if scaling and not scaling.min_replicas <= fields.replicas <= max(scaling.max_replicas, scaling.min_replicas):
        bounds = f"{scaling.min_replicas} to {scaling.max_replicas}"
        yield ("replicas",), f"must lie within what autoscaling may give, {bounds}, it is {fields.replicas}"
    elif not scaling and fields.replicas == 0:
        yield ("replicas",), "must be at least 1; to run none while nobody calls, say autoscaling.min_replicas: 0"


def _scaling(fields: ServiceFields) -> Iterator[Problem]:
    scaling = fields.autoscaling
    if scaling is None:
        return
    if scaling.min_replicas > scaling.max_replicas:
        text = f"must be at least min_replicas, which is {scaling.min_replicas}, it is {scaling.max_replicas}"
        yield ("autoscaling", "max_replicas"), text
    if scaling.max_replicas > max(scaling.min_replicas, 1) and not _has_target(scaling):
        yield ("autoscaling",), f"needs a target to scale by: one of {', '.join(TARGETS)}"
    if scaling.gpu_percent is not None and not (fields.gpu or fields.device):
        yield ("autoscaling", "gpu_percent"), "needs a card: say gpu or device"


def _has_target(scaling: AutoscalingFields) -> bool:
    return any(getattr(scaling, name) is not None for name in TARGETS)


def _times(fields: ServiceFields) -> Iterator[Problem]:
    if fields.timeout and fields.latency_slo_ms and fields.latency_slo_ms >= fields.timeout * 1000.0:
        yield ("latency_slo_ms",), f"must be shorter than timeout, which is {fields.timeout:g} s"


def _artifacts(artifacts: list[DownloadFields]) -> Iterator[Problem]:
    for number, each in enumerate(artifacts):
        yield from _one_reference(each, ("artifacts", number))
        if any(_overlap(each.dest_path, other.dest_path) for other in artifacts[:number]):
            text = f"{each.dest_path} overlaps with where another one goes: give each a folder of its own"
            yield ("artifacts", number, "dest_path"), text


def _overlap(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
