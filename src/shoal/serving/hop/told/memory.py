"""All that proxies have told this gateway of their models. Knows no proxy, and asks nobody.

A model is here three times at most: as it was asked for (what requests go by), among the versions of its name, and in
the list of all models.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from shoal.core.errors import NotFound
from shoal.serving.hop import messages
from shoal.serving.hop.messages import Description, Facts
from shoal.serving.hop.proxy.telling import mark_of
from shoal.serving.hop.sending.dispatch import RemoteDispatch, Takes
from shoal.serving.hop.told.handles import Object, RemoteHandle, added

Key = tuple[str, str]
KEPT = 100_000
"""Models that are remembered; when there are more, those that nobody uses are forgotten."""


class Memory:
    """See the module.

    Args:
        calls: where the calls of handles go.

    Attributes:
        handles: by name and version as they were asked for.
        listed: every version of every model, as of the last list.
    """

    def __init__(self, calls: Takes) -> None:
        self._calls = calls
        self.handles: dict[Key, RemoteHandle] = {}
        self._versions: dict[str, list[RemoteHandle]] = {}
        self.listed: list[RemoteHandle] = []

    def find(self, name: str, version: str) -> RemoteHandle:
        """A model as it was asked for before.

        Raises:
            NotFound: it is not known here.
        """
        handle = self.handles.get((name, version))
        if handle is None:
            what = f"model {name!r} has no version {version!r}" if version else f"there is no model {name!r}"
            raise NotFound(what, hint="`shoal models` and `shoal services` list what there is")
        handle.used = True
        return handle

    def versions(self, name: str) -> Sequence[RemoteHandle]:
        """All versions of a model, oldest first."""
        return self._versions.get(name, ())

    def names(self, limit: int) -> Iterable[str]:
        """Names of at most so many models."""
        return itertools.islice(self._versions, limit)

    def describe(self, key: Key, description: Description) -> None:
        """A proxy has described a model."""
        mark = mark_of(messages.encode(description.wanted))
        handle = self.handles.get(key)
        if handle is not None:
            handle.apply(description.wanted, mark)
        else:
            if len(self.handles) >= KEPT:
                self._make_room()
            self.handles[key] = self._handle(key, description.wanted, mark)
        self._versions[key[0]] = [self._shown(facts) for facts in description.versions]

    def _make_room(self) -> None:
        """Forget what nobody uses, and half of the rest if that is not enough."""
        kept = [(key, handle) for key, handle in self.handles.items() if handle.used]
        self.handles = dict(kept[max(0, len(kept) - KEPT // 2) :])
        names = {name for name, _ in self.handles}
        self._versions = {name: versions for name, versions in self._versions.items() if name in names}

    def refreshed(self, handle: RemoteHandle, news: bytes | None) -> None:
        """What a proxy said when it was asked for what is new: b"": nothing; None: there is no such model."""
        if news is None:
            self.forget(handle.name, handle.version)
        elif news:
            handle.apply(messages.decode_facts(news), mark_of(news))

    def forget(self, name: str, version: str) -> None:
        """There is no such model any more."""
        self.handles.pop((name, version), None)
        self._versions.pop(name, None)

    def show(self, lists: Iterable[Iterable[Facts]]) -> None:
        """The models of each proxy; of those that several have, one that is ready counts."""
        best: dict[Key, Facts] = {}
        for facts in itertools.chain.from_iterable(lists):
            key = (facts.spec.name, facts.spec.version)
            if key not in best or (facts.state.value == "READY" != best[key].state.value):
                best[key] = facts
        before = {(each.spec.name, each.spec.version): each for each in self.listed}
        self.listed = []
        for key in sorted(best, key=lambda each: (each[0], len(each[1]), each[1])):
            handle = before.get(key) or self._handle(key, best[key], 0)
            handle.apply(best[key], 0)
            self.listed.append(handle)

    def count(self, told: Iterable[Iterable[Object]], handles: Iterable[RemoteHandle]) -> None:
        """The statistics of each proxy, for these handles."""
        by_key: dict[Key, list[Object]] = {}
        for each in itertools.chain.from_iterable(told):
            by_key.setdefault((str(each.pop("name", "")), str(each.pop("version", ""))), []).append(each)
        for handle in handles:
            handle.count(added(by_key.get((handle.spec.name, handle.spec.version), ())))

    def of(self, name: str, version: str) -> list[RemoteHandle]:
        """All handles that tell of a model, or of one version of it."""
        own = [handle for key in {(name, ""), (name, version)} if (handle := self.handles.get(key)) is not None]
        return [*own, *self.versions(name)]

    def _shown(self, facts: Facts) -> RemoteHandle:
        """A version that is shown; the handle that requests use, if there is one."""
        key = (facts.spec.name, facts.spec.version)
        mark = mark_of(messages.encode(facts))
        handle = self.handles.get(key) or self._handle(key, facts, mark)
        handle.apply(facts, mark)
        return handle

    def _handle(self, key: Key, facts: Facts, mark: int) -> RemoteHandle:
        return RemoteHandle(*key, facts, RemoteDispatch(self._calls, *key, pure=facts.spec.pure), mark)
