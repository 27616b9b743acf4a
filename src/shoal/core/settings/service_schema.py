"""The fields of `service.yaml`.

Each field has its description, its bounds and its default; the reference page and the JSON Schema for editors are made
from them. What concerns two fields at once is in `service_checks`, how an environment is laid over the rest in
`overlays`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from shoal.core.errors import ConfigError, InvalidInput
from shoal.core.registry import LATEST, check_alias, check_label
from shoal.core.settings import quantities
from shoal.core.settings.schema import (
    DAY,
    MAX_NUMBER,
    BatchingFields,
    Fields,
    Milliseconds,
    Parameters,
    Seconds,
    Size,
    Variables,
    check_name,
)

MAX_REPLICAS = 1024
SMALLEST_MEMORY = 16 * 1024 * 1024


def _label(text: str) -> str:
    try:
        return check_label(text, "field")
    except ConfigError as error:
        raise ValueError(f"must be {error.hint}") from None


def _alias(value: object) -> object:
    if isinstance(value, float):
        raise ValueError("must be text: write it in quotes")
    if not isinstance(value, str):
        return value
    try:
        return check_alias(value)
    except InvalidInput as error:
        raise ValueError(f"must be a second name of a version: {error.hint}") from None


def _number(value: object) -> str:
    text = str(value)
    if value == LATEST or (not isinstance(value, (bool, float)) and text.isdecimal() and 0 < int(text) < MAX_NUMBER):
        return text
    raise ValueError(f"must be the number of a version, or {LATEST}; for a name such as 0.1.0 use `alias`")


def _qualified(text: str) -> str:
    namespace, slash, name = text.rpartition("/")
    check_name(name)
    if slash:
        _label(namespace)
    return text


def _dest_path(text: str) -> str:
    parts = text.split("/")
    wrong = [each for each in parts if each in ("", ".", "..") or not each.isprintable() or "\\" in each]
    if wrong or len(text) > 1024:
        raise ValueError("must be a path below the service's own folder, such as tokenizer/files")
    return text


def _variable_names(variables: dict[str, str]) -> dict[str, str]:
    for name, text in variables.items():
        if not name.isidentifier() or not name.isascii():
            raise ValueError(f"{name[:40]!a} cannot be the name of an environment variable")
        if "\0" in text:
            raise ValueError(f"{name} may not hold a NUL character")
    return variables


Label = Annotated[str, AfterValidator(_label)]
Alias = Annotated[str, BeforeValidator(_alias)]
Qualified = Annotated[str, AfterValidator(_qualified)]
VersionNumber = Annotated[str, BeforeValidator(_number), WithJsonSchema({"type": ["integer", "string"]})]
DestPath = Annotated[str, AfterValidator(_dest_path)]
Link = Annotated[str, Field(pattern=r"^(https?://|mailto:)\S+$", max_length=2000)]
Title = Annotated[str, Field(min_length=1, max_length=100)]
Tag = Annotated[str, Field(max_length=1000)]
Memory = Annotated[Size, Field(ge=SMALLEST_MEMORY, lt=MAX_NUMBER)]
Percent = Annotated[float, Field(gt=0, le=100)]
Target = Annotated[float, Field(gt=0)]
Processors = Annotated[
    float,
    BeforeValidator(quantities.processors),
    Field(gt=0, le=1024),
    WithJsonSchema({"type": ["number", "string"], "description": "processors, such as 2 or 500m"}),
]


class AutoscalingFields(Fields):
    """How many workers there are, by need. Targets are per worker; the one that asks for most decides."""

    min_replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] = 1
    """Never fewer workers; 0 lets an idle service go, and its next request is held until it is back."""
    max_replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] = 1
    """Never more workers."""
    concurrency: Target | None = None
    """Requests in flight or waiting."""
    rate: Target | None = None
    """Requests per second."""
    latency_ms: Annotated[Milliseconds, Field(gt=0, le=DAY * 1000)] | None = None
    """Median time of a request, queueing included, such as `50ms`."""
    cpu_percent: Percent | None = None
    """Use of the processors that a worker has."""
    gpu_percent: Percent | None = None
    """Use of the card."""
    idle_seconds: Annotated[Seconds, Field(gt=0, le=30 * DAY)] = 300.0
    """Time without requests before the last worker goes, where `min_replicas` is 0; such as `5m`."""
    scale_down_seconds: Annotated[Seconds, Field(ge=0, le=DAY)] = 60.0
    """How long fewer workers must have been enough before some are let go."""


class GpuFields(Fields):
    """Cards that each worker needs."""

    type: Annotated[str, Field(max_length=128)] = ""
    """The card's type, such as `nvidia-tesla-t4`; by default any."""
    count: Annotated[int, Field(ge=1, le=64)] = 1
    """Whole cards; 1 with `memory` is a part of one."""
    memory: Memory | None = None
    """Memory on a single card, such as `8Gi`; by default the card is not shared."""


class DeviceFields(GpuFields):
    """Accelerators of another kind that each worker needs."""

    kind: Label
    """A pool of devices of the node, as its settings name it."""


class DownloadFields(Fields):
    """A version whose files are fetched before the service is ready. One of `version`, `stage` and `alias` says
    which; by default the stage production."""

    model: Qualified
    """`name`, or `namespace/name`."""
    version: VersionNumber | None = None
    """The number of a version, or `latest`."""
    stage: Label | None = None
    """The version that has this stage."""
    alias: Alias | None = None
    """The second name of a version, such as `0.1.0`."""
    dest_path: DestPath
    """Where the files go, below the service's own folder."""


class CacheFields(Fields):
    """Answers that are kept for equal inputs of the same version. Without this block nothing is kept."""

    seconds: Annotated[Seconds, Field(gt=0, le=30 * DAY)] = 300.0
    """How long an answer is good, such as `5m`."""
    bytes: Annotated[Size, Field(ge=1024, lt=MAX_NUMBER)] = 64 * 1024 * 1024
    """What the answers may take, such as `64Mi`."""


class RunLimitsFields(Fields):
    """Limits of `model.yaml` that are laid over the model's own; the others have fields of their own here."""

    threads: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Threads of BLAS, OpenMP and the frameworks in each worker."""
    execution_seconds: Annotated[Seconds, Field(gt=0, le=DAY)] | None = None
    """How long one batch may run before its worker counts as hung."""
    load_seconds: Annotated[Seconds, Field(gt=0, le=DAY)] | None = None
    """How long loading may take."""
    max_requests: Annotated[int, Field(ge=1, lt=MAX_NUMBER)] | None = None
    """Requests after which a worker is replaced."""


class ServiceFields(Fields):
    """Fields that may differ from environment to environment. `null` takes a field back to its default."""

    description: Annotated[str, Field(max_length=10_000)] = ""
    """For people: shown in the catalogue."""
    owner: Annotated[str, Field(max_length=200)] = ""
    """A person or team, shown in the catalogue and searchable."""
    links: Annotated[dict[Title, Link], Field(max_length=50)] = {}
    """Addresses for people, by title: a runbook, a dashboard."""
    tags: Annotated[dict[Title, Tag], Field(max_length=64)] = {}
    """Free labels, by name; searchable."""
    model: Qualified | None = None
    """What answers: `name`, or `namespace/name`; by default the model that has the service's name."""
    version: VersionNumber | None = None
    """The number of the version that is served, or `latest`."""
    stage: Label | None = None
    """The stage that is followed: when it moves, the service moves. By default `production`."""
    alias: Alias | None = None
    """The second name of the version that is served, such as `0.1.0`."""
    placement: Literal["dedicated", "shared"] = "dedicated"
    """`dedicated`: workers of its own; `shared`: seats in the workers of a pool, beside other models."""
    pool: Label = "shared"
    """The name of the shared pool."""
    pinned: bool = False
    """Whether it keeps its seat in the shared pool, and has one before it is called."""
    replicas: Annotated[int, Field(ge=0, le=MAX_REPLICAS)] | None = None
    """Workers, or seats in a shared pool; by default 1, or `autoscaling.min_replicas`."""
    cpu: Processors = 1.0
    """Processors of one worker, such as `2` or `500m`."""
    memory: Memory | None = None
    """Memory of one worker, such as `2Gi`; by default what the model says."""
    gpu: GpuFields | None = None
    """Cards that each worker needs."""
    device: DeviceFields | None = None
    """Accelerators of another kind, in place of `gpu`."""
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """What a container of its own listens on; callers use the node's port, which all services share."""
    timeout: Annotated[Seconds, Field(gt=0, le=DAY)] | None = None
    """How long a request may take, end to end, such as `30s`; by default what the model says."""
    latency_slo_ms: Annotated[Milliseconds, Field(gt=0, le=DAY * 1000)] | None = None
    """The time of a request that is promised: batches are kept under it, and slowness is told against it."""
    autoscaling: AutoscalingFields | None = None
    """How many workers there are, by need."""
    runtime_environment: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """A file with locked requirements (`name==version` lines) beside this one; by default the node's own libraries."""
    variables: Annotated[Variables, AfterValidator(_variable_names)] = {}
    """Environment variables of the workers."""
    network: bool | None = None
    """Whether the workers may use the network, in place of what the model says; `true` takes the permission
    `deploy:network`."""
    batching: BatchingFields | None = None
    """Fields of `model.yaml` that are laid over the model's own."""
    limits: RunLimitsFields | None = None
    """Fields of `model.yaml` that are laid over the model's own."""
    parameters: Parameters = {}
    """Options of the runtime that are laid over the model's own."""
    cache: CacheFields | None = None
    """Keep answers for equal inputs."""
    features: Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=1024)] = []
    """Names of features that are looked up for each request."""
    artifacts: Annotated[list[DownloadFields], Field(max_length=64)] = []
    """Versions whose files are fetched before the service is ready: a tokenizer, a table."""
    autodownload: bool = True
    """`false` fetches none of the `artifacts`."""


class ServiceFile(ServiceFields):
    """A `service.yaml`: one service, in one or several environments."""

    name: Annotated[str, AfterValidator(check_name)]
    """What callers use in the path."""
    namespace: Label | None = None
    """Whose service it is; by default the namespace that the command says, or `default`."""
    environments: dict[Label, ServiceFields | None] = {}
    """What differs, by environment: fields of this file that are laid over those outside. Mappings are merged, lists
    replaced. Without this block there is one environment, `production`."""
