"""Models: names in a namespace, found and described.

They come into being with their first version (see `registering`), which also says who owns them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select, tuple_, update

from shoal.control.registry import schema
from shoal.control.registry.documents import check_text, dump, load, pattern, searchable
from shoal.control.registry.namespaces import require_namespace
from shoal.control.registry.part import Part
from shoal.control.registry.within import Reach, within
from shoal.core.errors import NotFound
from shoal.core.registry import Model, Tags

_table = schema.models
AnyRow = Row[Any]
_ALIKE = 4
"""Characters that the names of a hint have in common with the one that is not there."""


class ModelsPart(Part):
    """Finding and describing models."""

    def model(self, namespace: str, name: str) -> Model:
        """One model.

        Raises:
            NotFound: there is none, or it was deleted.
        """
        with self._reading() as connection:
            return to_models(connection, [require_model(connection, namespace, name)])[0]

    def models(
        self,
        namespace: str | None = None,
        *,
        search: str = "",
        stage: str = "",
        owner: str = "",
        reach: Reach | None = None,
        limit: int = 100,
        after: tuple[str, str] = ("", ""),
    ) -> list[Model]:
        """A page of models, ordered by namespace and name, from behind `after`.

        Args:
            namespace: only its own, or None: all.
            search: what name, description, owner or tags must contain, whatever the case.
            stage: which stage they must have.
            reach: only these; None: all.
        """
        wanted = _filtered(select(_table), namespace, search=search, stage=stage, owner=owner)
        place = tuple_(_table.c.namespace, _table.c.name)
        if reach is not None:
            wanted = wanted.where(within(reach, _table.c.namespace, _table.c.name))
        page = wanted.where(place > tuple_(*after)).order_by(_table.c.namespace, _table.c.name).limit(limit)
        with self._reading() as connection:
            return to_models(connection, connection.execute(page).all())

    def count_models(self, namespace: str | None = None) -> int:
        """How many there are."""
        wanted = _filtered(select(func.count()).select_from(_table), namespace)
        with self._reading() as connection:
            count: int = connection.execute(wanted).scalar_one()
        return count

    def describe(
        self,
        namespace: str,
        model: str,
        *,
        description: str | None = None,
        owner: str | None = None,
        tags: Tags | None = None,
        actor: str = "",
    ) -> Model:
        """Change what is said about a model; None leaves it as it is."""
        with self._writing(actor) as writing:
            row = require_model(writing.connection, namespace, model)
            kept = {"description": row.description, "owner": row.owner}
            said = {"description": description, "owner": owner}
            texts = {key: check_text(kept[key] if text is None else text, key) for key, text in said.items()}
            written = row.tags if tags is None else dump(tags, Tags, "tags")
            values = {**texts, "tags": written, "search": model_search(model, texts, load(written, Tags))}
            writing.connection.execute(update(_table).where(_table.c.id == row.id).values(values))
            writing.note("model.describe", namespace, model)
            writing.changed("model", namespace, model)
            return to_models(writing.connection, [require_model(writing.connection, namespace, model)])[0]


def model_search(name: str, texts: dict[str, str], tags: Tags) -> str:
    """What a search for models looks through."""
    return searchable(name, texts["owner"], texts["description"], *(f"{key}={value}" for key, value in tags.items()))


def find_model(connection: Connection, namespace: str, name: str) -> AnyRow | None:
    """A model's row, also of a tombstone."""
    return connection.execute(select(_table).where(_table.c.namespace == namespace, _table.c.name == name)).first()


def require_model(connection: Connection, namespace: str, name: str, *, deleted: bool = False) -> AnyRow:
    """A model's row.

    Raises:
        NotFound: there is none, or (unless `deleted` are wanted, too) it is a tombstone.
    """
    row = find_model(connection, namespace, name)
    if row and (deleted or not row.deleted):
        return row
    if row:
        hint = "register a version under this name to have it again"
        raise NotFound(f"the model {name} of namespace {namespace} was deleted", hint=hint, field="model")
    require_namespace(connection, namespace)
    raise NotFound(
        f"there is no model {name[:128]!a} in namespace {namespace}", hint=_similar(connection, namespace, name)
    )


def to_models(connection: Connection, rows: Sequence[AnyRow]) -> list[Model]:
    """The models of rows, with their stages."""
    labels = stages_of(connection, [row.id for row in rows])
    return [
        Model(
            namespace=row.namespace,
            name=row.name,
            description=row.description,
            owner=row.owner,
            tags=load(row.tags, Tags),
            stages=labels.get(row.id, {}),
            latest=row.latest,
            created=row.created,
            deleted=row.deleted,
        )
        for row in rows
    ]


def stages_of(connection: Connection, models: Iterable[int]) -> dict[int, dict[str, int]]:
    """Where the stages of models point, by the models' ids."""
    table = schema.stages
    wanted = select(table).where(table.c.model_id.in_(list(models)), table.c.number > 0).order_by(table.c.stage)
    found: dict[int, dict[str, int]] = {}
    for row in connection.execute(wanted):
        found.setdefault(row.model_id, {})[row.stage] = row.number
    return found


def _filtered(
    wanted: Select[Any], namespace: str | None, *, search: str = "", stage: str = "", owner: str = ""
) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [_table.c.deleted.is_(False)]
    if namespace is not None:
        conditions.append(_table.c.namespace == namespace)
    if search:
        conditions.append(_table.c.search.like(pattern(search), escape="\\"))
    if owner:
        conditions.append(_table.c.owner == owner)
    if stage:
        labelled = select(schema.stages.c.model_id).where(schema.stages.c.stage == stage, schema.stages.c.number > 0)
        conditions.append(_table.c.id.in_(labelled))
    return wanted.where(*conditions)


def _similar(connection: Connection, namespace: str, name: str) -> str:
    start = name[:_ALIKE]  # by the index: unknown names are asked for often
    near = (_table.c.name >= start, _table.c.name < start + "\uffff", _table.c.deleted.is_(False))
    wanted = select(_table.c.name).where(_table.c.namespace == namespace, *near).order_by(_table.c.name).limit(5)
    names = connection.execute(wanted).scalars().all()
    return f"there is {', '.join(names)}" if names else "`shoal models` shows what there is"
