"""One batch of registrations: what the database says about it, read at once; the decisions, one by one and in memory;
and what follows from them, written at once. So a thousand versions cost a handful of statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from sqlalchemy import Connection, bindparam, insert, select, update

from shoal.control.registry import quotas, schema
from shoal.control.registry.candidates import Candidate, blob_rows, check_code, check_lineage
from shoal.control.registry.models import AnyRow, model_search, stages_of
from shoal.control.registry.namespaces import require_namespace
from shoal.control.registry.part import Detail, Writing
from shoal.control.registry.upsert import add_missing
from shoal.control.registry.versions import to_version
from shoal.core.errors import Conflict
from shoal.core.quotas import Holding
from shoal.core.registry import Policy, Version

_versions = schema.versions
_models = schema.models
_Name = tuple[str, str]


@dataclass(slots=True)
class _Of:
    """A model while the batch is decided; `new` is one that nobody saw before, or that was deleted."""

    id: int
    latest: int
    next: int
    stages: dict[str, int]
    new: bool
    taken: dict[int, Version] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)


class Ledger:
    """The decisions about one batch."""

    def __init__(self, models: dict[_Name, _Of], now: float, actor: str) -> None:
        self._models = models
        self._now = now
        self._actor = actor
        self._rows: list[dict[str, Any]] = []
        self._added: list[tuple[Candidate, Version]] = []

    @classmethod
    def open(cls, writing: Writing, batch: Sequence[Candidate]) -> Self:
        """Hold the batch against its namespaces' policies, make its models, and read what is there."""
        _check_policies(writing.connection, batch)
        _make_models(writing, batch)
        models = _read_models(writing.connection, batch)
        _read_taken(writing.connection, models, batch)
        return cls(models, writing.now, writing.actor)

    def enter(self, new: Candidate) -> Version:
        """Decide about one version: it is new, or the same is there.

        Raises:
            Conflict: its number or its alias is taken.
        """
        of = self._models[new.model]
        number = new.new.version or of.next
        if known := of.taken.get(number):
            return _same(known, new)
        if new.new.alias:
            _claim(of, new.new.alias, number, new.new.model)
        of.latest, of.next = max(of.latest, number), max(of.next, number + 1)
        version = self._version(new, number)
        of.taken[number] = version
        self._rows.append(
            {**new.columns, "model_id": of.id, "number": number, "created": self._now, "creator": self._actor}
        )
        self._added.append((new, version))
        return version

    def _version(self, new: Candidate, number: int) -> Version:
        told = new.new
        return Version(
            namespace=told.namespace,
            model=told.model,
            version=number,
            digest=new.digest,
            size=new.columns["size"],
            runtime=told.runtime,
            trust=told.trust,
            alias=told.alias,
            description=told.description,
            tags=told.tags,
            lineage=told.lineage,
            signature=told.signature,
            created=self._now,
            creator=self._actor,
        )

    def write(self, writing: Writing) -> None:
        """Write what was decided.

        Raises:
            QuotaExceeded, StorageQuotaExceeded: a namespace may not hold so much.
        """
        if not self._added:
            return
        connection = writing.connection
        manifests = {new.digest: new for new, _ in self._added}
        rows = [
            {"digest": digest, "size": new.new.manifest.size, "content": new.content.decode()}
            for digest, new in manifests.items()
        ]
        add_missing(connection, schema.manifests, rows)
        references = [row for digest, new in manifests.items() for row in blob_rows(digest, new.new.manifest)]
        add_missing(connection, schema.blobs, references)
        connection.execute(insert(_versions), self._rows)
        self._write_models(connection)
        for namespace in {version.namespace for _, version in self._added}:
            quotas.check(writing, namespace, self._grown(namespace))
        for new, version in self._added:
            detail: Detail = {"version": version.version, "digest": new.digest}
            writing.note("version.register", version.namespace, version.model, detail)
            writing.changed("model", version.namespace, version.model)

    def _grown(self, namespace: str) -> Holding:
        """What is new in a namespace."""
        added = [version for _, version in self._added if version.namespace == namespace]
        models = sum(self._models[namespace, name].new for name in {version.model for version in added})
        return Holding(models=models, versions=len(added), bytes=sum(version.size for version in added))

    def _write_models(self, connection: Connection) -> None:
        statement = (
            update(_models)
            .where(_models.c.id == bindparam("of"))
            .values(latest=bindparam("newest"), next=bindparam("following"), deleted=False)
        )
        touched = {new.model for new, _ in self._added}
        models = [self._models[name] for name in touched]
        connection.execute(statement, [{"of": of.id, "newest": of.latest, "following": of.next} for of in models])


def _check_policies(connection: Connection, batch: Sequence[Candidate]) -> None:
    policies: dict[str, Policy] = {}
    for each in batch:
        name = each.new.namespace
        policy = policies.get(name) or require_namespace(connection, name).policy
        policies[name] = policy
        check_lineage(each.new.lineage, policy, name)
        check_code(each.new, policy)


def _make_models(writing: Writing, batch: Sequence[Candidate]) -> None:
    rows: dict[_Name, dict[str, Any]] = {}
    for each in batch:
        texts = {"owner": each.new.owner, "description": ""}
        search = model_search(each.new.model, texts, {})
        own = {"namespace": each.new.namespace, "name": each.new.model}
        rows.setdefault(each.model, {**own, **texts, "tags": "{}", "search": search, "next": 1, "created": writing.now})
    add_missing(writing.connection, _models, list(rows.values()))


def _read_models(connection: Connection, batch: Sequence[Candidate]) -> dict[_Name, _Of]:
    names: dict[str, set[str]] = {}
    for each in batch:
        names.setdefault(each.new.namespace, set()).add(each.new.model)
    rows: list[AnyRow] = []
    for namespace, wanted in names.items():
        mine = (_models.c.namespace == namespace, _models.c.name.in_(wanted))
        rows += connection.execute(select(_models).where(*mine)).all()
    labels = stages_of(connection, [row.id for row in rows])
    return {(row.namespace, row.name): _of(row, labels) for row in rows}


def _of(row: AnyRow, labels: dict[int, dict[str, int]]) -> _Of:
    new = row.deleted or row.next == 1  # a model is made with its first version, which takes the number 1 or a higher
    return _Of(row.id, row.latest, row.next, labels.get(row.id, {}), new)


def _read_taken(connection: Connection, models: dict[_Name, _Of], batch: Sequence[Candidate]) -> None:
    numbers = {each.new.version for each in batch if each.new.version is not None}
    aliases = {each.new.alias for each in batch if each.new.alias}
    if not numbers and not aliases:
        return
    names = {of.id: name for name, of in models.items()}
    wanted = _versions.c.number.in_(numbers) | _versions.c.alias.in_(aliases)
    for row in connection.execute(select(_versions).where(_versions.c.model_id.in_(names), wanted)):
        of = models[names[row.model_id]]
        labels = tuple(stage for stage, number in of.stages.items() if number == row.number)
        of.taken[row.number] = to_version(*names[row.model_id], row, labels)
        if row.alias:
            of.aliases[row.alias] = row.number


def _same(known: Version, new: Candidate) -> Version:
    if known.deleted:
        hint = "numbers are not used again: leave it out to get the next one"
        raise Conflict(f"version {known.version} of {known.model} was deleted", hint=hint, field="version")
    if known.digest != new.digest:
        hint = "versions do not change: leave the number out to get the next one"
        raise Conflict(f"version {known.version} of {known.model} has other content", hint=hint, field="version")
    return known


def _claim(of: _Of, alias: str, number: int, model: str) -> None:
    if alias in of.aliases:
        sentence = f"the alias {alias} of {model} is version {of.aliases[alias]} already"
        raise Conflict(sentence, hint="choose another alias", field="alias")
    if alias in of.stages:
        raise Conflict(f"{alias} is a stage of {model}", hint="choose another alias", field="alias")
    of.aliases[alias] = number
