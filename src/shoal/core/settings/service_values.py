"""From the validated fields of `service.yaml` to a `Service`."""

from __future__ import annotations

from shoal.core.registry import PRODUCTION, Scalar
from shoal.core.service import Autoscaling, Cache, Device, Download, Service
from shoal.core.settings.models import PRESETS
from shoal.core.settings.schema import BatchingFields
from shoal.core.settings.service_checks import REFERENCES
from shoal.core.settings.service_schema import DownloadFields, ServiceFields, ServiceFile

_PRESET_FIELDS = ("policy", "max_size", "max_wait_ms")


def to_service(fields: ServiceFile, environment: str, namespace: str, requirements: str) -> Service:
    """The service that validated fields describe."""
    own = fields.namespace or namespace
    model_namespace, model = _qualified(fields.model or fields.name, own)
    scaling = Autoscaling(**fields.autoscaling.model_dump()) if fields.autoscaling else None
    return Service(
        namespace=own,
        name=fields.name,
        environment=environment,
        model_namespace=model_namespace,
        model=model,
        ref=_reference(fields),
        description=fields.description,
        owner=fields.owner,
        links=fields.links,
        tags=fields.tags,
        placement=fields.placement,
        pool=fields.pool,
        pinned=fields.pinned,
        replicas=_replicas(fields.replicas, scaling),
        cpu=fields.cpu,
        memory_bytes=fields.memory,
        device=_device(fields),
        port=fields.port,
        timeout_seconds=fields.timeout,
        latency_target_ms=fields.latency_slo_ms,
        autoscaling=scaling,
        requirements=requirements,
        variables=fields.variables,
        network=fields.network,
        batching=_batching(fields.batching),
        limits=fields.limits.model_dump(exclude_none=True) if fields.limits else {},
        parameters=fields.parameters,
        cache=Cache(**fields.cache.model_dump()) if fields.cache else None,
        features=tuple(fields.features),
        downloads=tuple(_download(each, own) for each in fields.artifacts),
        autodownload=fields.autodownload,
    )


def _qualified(text: str, namespace: str) -> tuple[str, str]:
    said, _, name = text.rpartition("/")
    return said or namespace, name


def _reference(fields: ServiceFields | DownloadFields) -> str:
    return next((said for name in REFERENCES if (said := getattr(fields, name)) is not None), PRODUCTION)


def _replicas(said: int | None, scaling: Autoscaling | None) -> int:
    if said is not None:
        return said
    return scaling.min_replicas if scaling else 1


def _device(fields: ServiceFields) -> Device | None:
    said = fields.gpu or fields.device
    if said is None:
        return None
    kind = fields.device.kind if fields.device else "gpu"
    return Device(kind=kind, model=said.type, count=said.count, memory_bytes=said.memory)


def _batching(fields: BatchingFields | None) -> dict[str, Scalar | None]:
    """What is said of batching, a preset as the fields that it stands for; `max_size` None is `auto`."""
    if fields is None:
        return {}
    said = fields.model_dump(exclude={"preset"}, exclude_unset=True)
    named = "preset" in fields.model_fields_set
    preset = {name: getattr(PRESETS[fields.preset], name) for name in _PRESET_FIELDS} if named else {}
    return preset | {name: value for name, value in said.items() if value is not None or name == "max_size"}


def _download(fields: DownloadFields, namespace: str) -> Download:
    owner, model = _qualified(fields.model, namespace)
    return Download(namespace=owner, model=model, ref=_reference(fields), dest_path=fields.dest_path)
