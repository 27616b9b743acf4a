"""Control: what the registry, the artifact store, signatures and services do together.

The rooms below know nothing of each other; what takes more than one of them is here. All methods are synchronous, may
be called from any thread, and raise `ShoalError`s only.

A version is registered, and unused blobs are removed, under one lock: no blob is taken from under a version that is
just being registered.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import msgspec

from shoal.control import signing
from shoal.control.admission import Admission
from shoal.control.artifacts import gc, intake, storing
from shoal.control.artifacts.blobs import BlobStore
from shoal.control.artifacts.scratch import Scratch
from shoal.control.deployments import Deployments
from shoal.control.permissions import CallerPermissions, LocalPermissions, Permissions
from shoal.control.registry import Nodes, Registry
from shoal.control.registry.within import Reach
from shoal.control.services.resolving import Resolver
from shoal.core.catalogue import Collected, CollectRequest, Event, Examined, NamespaceChange
from shoal.core.errors import Conflict, NotFound, Unavailable
from shoal.core.registry import Namespace, NewVersion, Policy, StageMove, Version
from shoal.core.settings.control import ControlSettings

NODE_SECONDS = 30.0
"""A node that has not reported for so long counts as gone."""
FEED_KEPT = 100_000
"""Entries of the feed that a collection leaves; a node that is further behind asks for everything again."""
KEEPING_SECONDS = 10.0
"""How long a registration waits for a collection that removes files."""


class Control:
    """The control plane of one process.

    Args:
        registry, blobs: open; closed by whoever opened them.
        settings: of the process.
        permissions: who may let code in; by default those whose key says so, and the settings' `trust` for the others.
    """

    def __init__(
        self,
        registry: Registry,
        blobs: BlobStore,
        settings: ControlSettings,
        *,
        permissions: Permissions | None = None,
        nodes: Nodes | None = None,
    ) -> None:
        self.registry = registry
        self.blobs = blobs
        self.settings = settings
        self.nodes = nodes or Nodes()
        self.resolver = Resolver(registry)
        self.services = Deployments(registry, self.nodes, NODE_SECONDS)
        self._tmp = settings.folder / "tmp"
        self._tmp.mkdir(mode=0o700, parents=True, exist_ok=True)
        permissions = permissions or CallerPermissions(LocalPermissions(allow_code=settings.trust))
        self._admission = Admission(blobs, self.scratch, permissions)
        self._keeping = threading.Lock()
        self._moving = threading.Lock()

    def scratch(self) -> AbstractContextManager[Path]:
        """An empty folder for a while."""
        return Scratch(self._tmp).tree()

    def take(self, file: Path, name: str) -> Examined:
        """Unpack an archive and store its files; nothing is registered.

        Args:
            name: what the sender called it.

        Raises:
            ShoalError: see `intake.take_in`; nothing is left then.
        """
        with self.scratch() as folder:
            taken = intake.take_in(file, folder / "files", name=name, model=False)
            manifest = storing.store(taken.folder, taken.manifest, self.blobs)
        return Examined(
            manifest=manifest, digest=manifest.digest, runtime=taken.runtime, code=taken.code, notes=taken.notes
        )

    def put_namespace(self, name: str, change: NamespaceChange, *, actor: str) -> Namespace:
        """Make a namespace, or change the policy of one that is there.

        Raises:
            Conflict: it is there with another description or owner.
        """
        try:
            there = self.registry.namespace(name)
        except NotFound:
            return self.registry.create_namespace(
                name,
                description=change.description or "",
                owner=change.owner or "",
                policy=change.policy or Policy(),
                actor=actor,
            )
        said = (change.description, there.description), (change.owner, there.owner)
        if any(new not in (None, old) for new, old in said):
            raise Conflict(f"the namespace {name} is there, with another owner or description", field="name")
        return there if change.policy is None else self.registry.set_policy(name, change.policy, actor=actor)

    def register(self, new: NewVersion, *, actor: str, key: str = "") -> tuple[Version, bool]:
        """Register a version whose blobs are stored; whether it was not there before.

        Raises:
            ShoalError: see `Admission.admit` and `Registry.register`.
        """
        admitted = self._admission.admit(new, self.registry.namespace(new.namespace).policy, actor)
        with self._unhindered():
            self._admission.require_blobs(admitted.manifest)
            before = self._is_there(admitted)
            return self.registry.register(admitted, actor=actor, key=key), not before

    def register_many(self, versions: Iterable[NewVersion], *, actor: str) -> list[Version]:
        """Register many versions; each is looked at as `register` does."""
        policies: dict[str, Policy] = {}
        admitted = []
        for new in versions:
            if new.namespace not in policies:
                policies[new.namespace] = self.registry.namespace(new.namespace).policy
            admitted.append(self._admission.admit(new, policies[new.namespace], actor))
        with self._unhindered():
            for manifest in {each.manifest.digest: each.manifest for each in admitted}.values():
                self._admission.require_blobs(manifest)
            return self.registry.register_many(admitted, actor=actor)

    def move_stage(
        self,
        namespace: str,
        model: str,
        stage: str,
        ref: str | None,
        *,
        actor: str,
        comment: str = "",
        expected: int | None = None,
        allow_older: bool = False,
    ) -> StageMove:
        """Point a stage at a version, or (None) remove it.

        Raises:
            PermissionDenied: the namespace's policy wants a signature of a trusted key at this stage.
            Conflict: such a stage would go back, and nobody said that it may; or as `Registry.move_stage`.
        """
        if ref is not None and stage in (policy := self.registry.namespace(namespace).policy).signed_stages:
            version = self.registry.version(namespace, model, ref)
            signing.verify(self.registry.manifest(version.digest), version.signature, policy.trusted_keys)
            if not allow_older:
                self._refuse_downgrade(namespace, model, stage, version)
            ref = str(version.version)
        return self.registry.move_stage(namespace, model, stage, ref, actor=actor, comment=comment, expected=expected)

    def rollback(
        self, namespace: str, model: str, stage: str, *, actor: str, expected: int | None = None, key: str = ""
    ) -> StageMove:
        """Point a stage at the version before its last move. A signature is verified again where the files are loaded.

        Raises:
            Conflict: the stage is not at `expected`.
            NotFound: there is nothing before.
        """
        with self._moving:
            now = self.registry.model(namespace, model).stages.get(stage, 0)
            if expected is not None and now != expected:
                hint = "somebody else has moved it; look again, then decide"
                raise Conflict(f"the stage {stage} is at {now or 'nothing'}, not at {expected}", hint=hint)
            return self.registry.rollback(namespace, model, stage, actor=actor, key=key)

    def events(self, *, limit: int, before: int, subject: str, reach: Reach | None = None) -> tuple[Event, ...]:
        """What was done, newest first; in these namespaces, or (None) in all."""
        found = self.registry.events(limit, before or None, subject=subject, reach=reach)
        return tuple(Event(**msgspec.structs.asdict(each)) for each in found)

    def collect(self, asked: CollectRequest, *, actor: str) -> Collected:
        """Forget versions that were deleted long ago and old entries of the feed; remove blobs that no version uses.

        A dry run forgets nothing, so it does not tell of the blobs that only deleted versions still use.
        """
        said, settings = asked, self.settings
        keep = settings.keep_deleted_seconds if said.keep_deleted_seconds is None else said.keep_deleted_seconds
        grace = settings.gc_grace_seconds if said.grace_seconds is None else said.grace_seconds
        versions = 0 if said.dry_run else self.registry.purge(keep, actor=actor)
        if not said.dry_run:
            self.registry.trim_feed(FEED_KEPT)
        with ExitStack() as keeping:
            live = self._live(keeping)
            found = gc.collect(live, self.blobs, now=time.time(), grace_seconds=grace, dry_run=said.dry_run)
        if found.count and not said.dry_run:
            self.registry.note_collected(found.count, found.bytes, actor=actor)
        return Collected(versions=versions, blobs=found.count, bytes=found.bytes, dry_run=said.dry_run)

    def _live(self, keeping: ExitStack) -> Iterator[str]:
        """The blobs that are used; asked for when the store has been listed, and nothing is registered from then on."""
        keeping.enter_context(self._unhindered())
        yield from self.registry.live_digests()

    @contextmanager
    def _unhindered(self) -> Iterator[None]:
        """Alone with blobs and versions.

        Raises:
            Unavailable: a collection takes too long to be waited for.
        """
        if not self._keeping.acquire(timeout=KEEPING_SECONDS):
            raise Unavailable("unused files are being removed", hint="try again when that is done", retry_after=2.0)
        try:
            yield
        finally:
            self._keeping.release()

    def _is_there(self, new: NewVersion) -> bool:
        if new.version is None:
            return False
        try:
            self.registry.version(new.namespace, new.model, str(new.version))
        except NotFound:
            return False
        return True

    def _refuse_downgrade(self, namespace: str, model: str, stage: str, wanted: Version) -> None:
        if stage not in self.registry.model(namespace, model).stages:
            return
        current = self.registry.version(namespace, model, stage)
        known = self.registry.versions(namespace, model, limit=1000)
        signing.refuse_downgrade(current, wanted, known, stage=stage)
