"""What a service is told to be: the name clients call, what answers it, and what that may use.

A `Service` is what `service.yaml` says for one environment, validated and complete. Control keeps it; what a node needs
of it travels inside a `core.routes.Route`.

    address   NAME[+ENVIRONMENT][@NAMESPACE]      iris    iris+staging    iris+staging@team-a
"""

from __future__ import annotations

from typing import Literal

import msgspec

from shoal.core.registry import DEFAULT_NAMESPACE, PRODUCTION, Scalar, Tags


class Autoscaling(msgspec.Struct, frozen=True, kw_only=True):
    """How many workers there are, by need. Targets are per worker; the one that asks for most decides.

    Attributes:
        min_replicas: 0 lets an idle service go; its next request is held until it is back.
        max_replicas: never more than this.
        concurrency: requests in flight or waiting.
        rate: requests per second.
        latency_ms: median time of a request, queueing included.
        cpu_percent, gpu_percent: use of the processor or the card.
        idle_seconds: without requests, before the last worker goes (`min_replicas: 0`).
        scale_down_seconds: how long less must have been enough before workers are let go.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    concurrency: float | None = None
    rate: float | None = None
    latency_ms: float | None = None
    cpu_percent: float | None = None
    gpu_percent: float | None = None
    idle_seconds: float = 300.0
    scale_down_seconds: float = 60.0


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """Accelerators that each worker needs.

    Attributes:
        kind: a pool of devices of the node: ``gpu``, or what its settings name.
        model: the card's type, such as ``nvidia-tesla-t4``; "" for any.
        count: whole cards; 1 with `memory_bytes` means a part of one.
        memory_bytes: memory on a single card, or None: the card is not shared.
    """

    kind: str = "gpu"
    model: str = ""
    count: int = 1
    memory_bytes: int | None = None


class Cache(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction cache: off unless asked for.

    Attributes:
        seconds: how long an answer is good.
        bytes: what the answers of this service may take.
    """

    seconds: float = 300.0
    bytes: int = 64 * 1024 * 1024


class Download(msgspec.Struct, frozen=True, kw_only=True):
    """A version whose files are put somewhere before the service starts.

    Attributes:
        ref: a version number, alias, stage or ``latest``.
        dest_path: where the files go, below the service's own folder.
    """

    namespace: str
    model: str
    ref: str
    dest_path: str


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service in one environment.

    Attributes:
        model_namespace, model: what answers; the model of the same name by default.
        ref: the version that is served: a number, an alias, a stage (then it follows the stage) or ``latest``.
        placement: ``dedicated`` workers of its own, or seats in the workers of a ``shared`` pool.
        pool: the shared pool's name.
        pinned: never evicted from its shared pool, and loaded without being called.
        replicas: workers (dedicated), or seats (shared).
        cpu: processors of one worker.
        memory_bytes: memory of one worker, or None.
        port: what a container listens on; told, not used, where services share the node's port.
        timeout_seconds: how long a request may take, end to end, or None: what the model says.
        latency_target_ms: what batches are kept under, and what `shoal why` measures against, or None.
        requirements: text of a requirements lock of the worker's environment; "" uses the node's own.
        variables: of the environment of the workers.
        network: whether the workers may use the network; None: what the model says.
        batching, limits, parameters: fields of `model.yaml` that are laid over the model's own.
        features: names of features that are looked up for each request.
        downloads, autodownload: files that are fetched before the service is ready, unless `autodownload` is false.
        links: for people, by title.
    """

    namespace: str = DEFAULT_NAMESPACE
    name: str
    environment: str = PRODUCTION
    model_namespace: str = DEFAULT_NAMESPACE
    model: str
    ref: str = PRODUCTION
    description: str = ""
    owner: str = ""
    links: dict[str, str] = {}
    tags: Tags = {}
    placement: Literal["dedicated", "shared"] = "dedicated"
    pool: str = "shared"
    pinned: bool = False
    replicas: int = 1
    cpu: float = 1.0
    memory_bytes: int | None = None
    device: Device | None = None
    port: int | None = None
    timeout_seconds: float | None = None
    latency_target_ms: float | None = None
    autoscaling: Autoscaling | None = None
    requirements: str = ""
    variables: dict[str, str] = {}
    network: bool | None = None
    batching: dict[str, Scalar | None] = {}
    limits: dict[str, Scalar | None] = {}
    parameters: dict[str, Scalar | list[Scalar] | None] = {}
    cache: Cache | None = None
    features: tuple[str, ...] = ()
    downloads: tuple[Download, ...] = ()
    autodownload: bool = True

    @property
    def address(self) -> str:
        """What callers write in the path."""
        return address(self.name, self.environment, self.namespace)


def address(name: str, environment: str = PRODUCTION, namespace: str = DEFAULT_NAMESPACE) -> str:
    """The shortest address of a service."""
    tail = "" if namespace == DEFAULT_NAMESPACE else f"@{namespace}"
    return f"{name}{'' if environment == PRODUCTION else f'+{environment}'}{tail}"


def parse_address(text: str) -> tuple[str, str, str]:
    """Name, environment and namespace of an address; what is not said is `PRODUCTION` and `DEFAULT_NAMESPACE`."""
    rest, _, namespace = text.partition("@")
    name, _, environment = rest.partition("+")
    return name, environment or PRODUCTION, namespace or DEFAULT_NAMESPACE
