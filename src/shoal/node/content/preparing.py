"""A route becomes a `ModelSpec`: files fetched and verified, environment built, the service's settings laid over.

    files         out of the machine's cache, which compares them with their digests each time
    signature     verified again where the route asks for it
    downloads     further artifacts, put below the service's own folder before anything is loaded
    environment   the interpreter that the service's requirements ask for
    settings      `model.yaml` of the artifact, then what the service says

All of it blocks, so all of it runs in threads; what is in the cache takes a millisecond.
"""

from __future__ import annotations

import asyncio
import logging
import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import msgspec

from shoal.control import folder
from shoal.control.artifacts.cache import ArtifactCache, Lease
from shoal.control.environments.environments import Environments
from shoal.core.errors import ConfigError, NotReady, ShoalError
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.core.routes import Fetched, Route, Target
from shoal.core.service import Service
from shoal.serving.hosting.entry import Prepared

logger = logging.getLogger(__name__)

THREADS = 8

Laid = TypeVar("Laid", Batching, Limits)


class Preparing:
    """Implements `serving.hosting.entry.Preparer`.

    Args:
        cache: of model files.
        environments: of workers; None: workers are elsewhere, and so is what they need.
        services: the folder below which services' further files are put.
    """

    def __init__(self, cache: ArtifactCache, environments: Environments | None, services: Path) -> None:
        self._cache = cache
        self._environments = environments
        self._services = services
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="prepare")

    async def prepare(self, route: Route, version: str) -> Prepared:
        """See `Preparer`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._prepare, route, version)

    def close(self) -> None:
        """Begin nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _prepare(self, route: Route, version: str) -> Prepared:
        target, service = route.target, route.service
        if target is None:
            raise NotReady(route.reason or "no version is served")
        held: list[Callable[[], None]] = []
        try:
            lease = self._lease(target, held)
            variables = self._download(route, held)
            python = self._python(service, held)
            spec = spec_of(route, lease.path, version=version, python=python, variables=variables)
        except BaseException:
            _release(held)
            raise
        return Prepared(spec, lambda: _release(held))

    def _lease(self, target: Target, held: list[Callable[[], None]]) -> Lease:
        lease = self._cache.lease(target.manifest)
        held.append(lease.release)
        if target.trusted_keys:
            from shoal.control import signing

            signing.verify(target.manifest, target.signature, target.trusted_keys)
        return lease

    def _python(self, service: Service, held: list[Callable[[], None]]) -> str:
        environments = self._environments
        if environments is None or not service.requirements:
            return ""
        name = service.address
        environment = environments.ensure(
            service.requirements, lambda line: logger.info("environment: %s", line, extra={"model": name})
        )
        held.append(lambda: environments.release(environment.digest))
        return str(environment.python)

    def _download(self, route: Route, held: list[Callable[[], None]]) -> dict[str, str]:
        """Put further files into the service's folder; the variables that tell where."""
        if not route.downloads:
            return {}
        service = route.service
        root = self._services / service.namespace / service.environment / service.name
        for fetched in route.downloads:
            lease = self._lease(fetched.target, held)
            _place(lease.path, root, fetched)
        return {"SHOAL_ARTIFACTS": str(root)}


def spec_of(
    route: Route, path: Path, *, version: str = "", python: str = "", variables: dict[str, str] | None = None
) -> ModelSpec:
    """How a route's target is run.

    Args:
        route: with a target.
        path: the folder with its files.
        version: what the caller named: such a version has a seat in a shared pool, whatever the service has.
        python: the interpreter of its environment, or "".
        variables: further environment variables.

    Raises:
        ConfigError: the artifact's `model.yaml`, or what the service lays over it, is wrong.
    """
    target, service = route.target, route.service
    assert target is not None
    name = service.address
    spec = folder.read_model(path, name=target.model, version=target.version, trust=target.trust == "code")
    shared = bool(version) or service.placement == "shared"
    return msgspec.structs.replace(
        spec,
        name=name,
        version=target.version,
        parameters={**spec.parameters, **service.parameters},
        environment={**spec.environment, **service.variables, **(variables or {})},
        description=service.description or spec.description,
        network=spec.network if route.network is None else route.network,
        app="" if shared else spec.app,
        batching=_batching(spec.batching, service),
        limits=_limits(spec.limits, service, shared=shared),
        digest=target.digest,
        tenant=target.namespace,
        placement="shared" if shared else "dedicated",
        pool=service.pool,
        pinned=service.pinned and not version,
        python=python,
    )


def _batching(batching: Batching, service: Service) -> Batching:
    said: dict[str, Any] = dict(service.batching)
    if service.latency_target_ms is not None:
        said.setdefault("latency_target_ms", service.latency_target_ms)
    return _laid_over(Batching, batching, said, "batching")


def _limits(limits: Limits, service: Service, *, shared: bool) -> Limits:
    said: dict[str, Any] = dict(service.limits)
    if service.timeout_seconds is not None:
        said["timeout_seconds"] = service.timeout_seconds
    if service.memory_bytes is not None:
        said["memory_bytes"] = service.memory_bytes
    if not shared:
        said.setdefault("threads", max(1, math.ceil(service.cpu)))
        said["cpu"] = service.cpu
        least = service.autoscaling.min_replicas if service.autoscaling else service.replicas
        said["workers"] = max(1, least)
    else:
        said["workers"] = max(1, service.replicas)
    return _laid_over(Limits, limits, said, "limits")


def _laid_over(kind: type[Laid], base: Laid, said: dict[str, Any], where: str) -> Laid:
    try:
        return msgspec.convert({**msgspec.to_builtins(base), **said}, type=kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"what the service says of {where} does not fit: {error}", field=where) from error


def _place(tree: Path, root: Path, fetched: Fetched) -> None:
    """Copy a downloaded version below the service's folder, in whole or not at all."""
    inside = PurePosixPath(fetched.dest_path.lstrip("/"))
    if ".." in inside.parts:
        raise ConfigError(f"dest_path {fetched.dest_path!r} leads out of the service's folder", field="dest_path")
    destination = root / inside if inside.parts else root / fetched.target.model
    mark = destination / ".digest"
    if mark.is_file() and mark.read_text() == fetched.target.digest:
        return
    staged = destination.with_name(f".{destination.name}.new")
    try:
        shutil.rmtree(staged, ignore_errors=True)
        staged.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(tree, staged)
        (staged / ".digest").write_text(fetched.target.digest)
        shutil.rmtree(destination, ignore_errors=True)
        staged.rename(destination)
    except OSError as error:
        raise NotReady(f"{fetched.dest_path} cannot be written: {error.strerror}") from error


def _release(held: list[Callable[[], None]]) -> None:
    while held:
        try:
            held.pop()()
        except ShoalError as error:
            logger.warning("could not let go of a model's files: %s", error)
