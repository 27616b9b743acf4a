"""Stages: labels of a model that point at one version and may be moved, with all their history.

Each move is a row that knows which move it would go `back` to. A rollback goes there, and its own row takes over where
*that* one would go back to. So repeated rollbacks walk down the history, and never to and fro; what a rollback has
undone is still in the history, which only ever grows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import Connection, insert, select

from shoal.control.registry import schema
from shoal.control.registry.documents import check_stage, check_text
from shoal.control.registry.keys import once
from shoal.control.registry.models import AnyRow, require_model
from shoal.control.registry.namespaces import require_namespace
from shoal.control.registry.part import Part, Writing
from shoal.control.registry.upsert import replace
from shoal.control.registry.versions import resolve
from shoal.core.errors import Conflict, NotFound, PermissionDenied
from shoal.core.registry import StageMove

_moves = schema.stage_moves


class Step(NamedTuple):
    """A move as a rollback sees it: its number, where the stage pointed then (0: nowhere), and the move before."""

    id: int
    number: int
    back: int


_NOWHERE = Step(0, 0, 0)


def earlier(now: Step, find: Callable[[int], Step], there: Callable[[int], bool]) -> Step | None:
    """The nearest earlier step at another version that is still there; None: there is none."""
    step = now
    while step.back:
        step = find(step.back)
        if step.number not in (0, now.number) and there(step.number):
            return step
    return None


class StagesPart(Part):
    """Moving labels."""

    def move_stage(
        self,
        namespace: str,
        model: str,
        stage: str,
        ref: str | int | None,
        *,
        actor: str = "",
        comment: str = "",
        expected: int | None = None,
    ) -> StageMove:
        """Point a stage at a version, or (None) remove it; where it points there already, nothing is done.

        Args:
            ref: a number, a stage, an alias, or `latest`.
            expected: the version that the stage must point at now (0: none yet).

        Raises:
            Conflict: it points elsewhere than expected, or the name is taken by an alias.
            NotFound: there is no such version; or the stage that is to be removed.
            PermissionDenied: the policy wants a signature for this stage, and the version has none.
        """
        with self._writing(actor) as writing:
            of = require_model(writing.connection, namespace, model)
            now = _present(writing.connection, of.id, check_stage(stage))
            number = 0 if ref is None else _target(writing.connection, of, stage, str(ref))
            if not number and not now.number:
                raise NotFound(f"the model {model} has no stage {stage}", hint="see its stages", field="stage")
            if now.number == number:
                return _told(writing.connection, of, now.id)
            if expected is not None and expected != now.number:
                raise _moved(stage, now.number, expected)
            told = check_text(comment, "comment")
            return _append(writing, of, stage, number, now, back=now.id, comment=told, action="stage.move")

    def rollback(self, namespace: str, model: str, stage: str, *, actor: str = "", key: str = "") -> StageMove:
        """Point a stage at the version before its last move; again: at the one before that.

        Args:
            key: a repeated request with the same key is answered, not done again.

        Raises:
            NotFound: there is nothing before that is still there.
            PermissionDenied: as `move_stage`.
        """
        with self._writing(actor) as writing:
            asked = ("rollback", namespace, model, stage)
            return once(writing, key, asked, lambda: _rollback(writing, namespace, model, stage), StageMove)

    def stage_history(self, namespace: str, model: str, stage: str = "", *, limit: int = 100) -> list[StageMove]:
        """The moves of one stage, or of all, newest first."""
        with self._reading() as connection:
            of = require_model(connection, namespace, model, deleted=True)
            wanted = select(_moves).where(_moves.c.model_id == of.id).order_by(_moves.c.id.desc()).limit(limit)
            if stage:
                wanted = wanted.where(_moves.c.stage == stage)
            return [_to_move(of, row) for row in connection.execute(wanted)]


def _rollback(writing: Writing, namespace: str, model: str, stage: str) -> StageMove:
    connection = writing.connection
    of = require_model(connection, namespace, model)
    now = _present(connection, of.id, stage)
    before = earlier(now, lambda number: _step(connection, number), lambda number: _is_there(connection, of.id, number))
    if before is None:
        hint = "move it to a version by number; the stage's history shows where it was"
        raise NotFound(f"the stage {stage[:64]} of {model} has no earlier version", hint=hint, field="stage")
    _require_signature(connection, of, stage, resolve(connection, of, str(before.number)))
    comment = f"rolled back from {now.number}" if now.number else "brought back"
    return _append(writing, of, stage, before.number, now, back=before.back, comment=comment, action="stage.rollback")


def _target(connection: Connection, of: AnyRow, stage: str, ref: str) -> int:
    alias = schema.versions.c.alias == stage
    if connection.execute(select(schema.versions.c.number).where(schema.versions.c.model_id == of.id, alias)).first():
        hint = "give the stage another name"
        raise Conflict(f"{stage} is the alias of a version of {of.name}", hint=hint, field="stage")
    version = resolve(connection, of, ref)
    _require_signature(connection, of, stage, version)
    number: int = version.number
    return number


def _require_signature(connection: Connection, of: AnyRow, stage: str, version: AnyRow) -> None:
    if version.signature or stage not in require_namespace(connection, of.namespace).policy.signed_stages:
        return
    sentence = (
        f"the stage {stage} of namespace {of.namespace} takes signed versions only; {version.number} is not signed"
    )
    raise PermissionDenied(sentence, hint="push the version with a signature", field="stage")


def _moved(stage: str, number: int, expected: int) -> Conflict:
    place = f"points at version {number}" if number else "points nowhere"
    hint = "somebody else has moved it; look again, then decide"
    return Conflict(f"the stage {stage} {place}, not at {expected}", hint=hint, field="expected")


def _append(
    writing: Writing, of: AnyRow, stage: str, number: int, now: Step, *, back: int, comment: str, action: str
) -> StageMove:
    connection, own = writing.connection, {"model_id": of.id, "stage": stage}
    row = {**own, "number": number, "previous": now.number, "back": back, "at": writing.now, "comment": comment}
    move = connection.execute(insert(_moves).values(**row, actor=writing.actor).returning(_moves.c.id)).scalar_one()
    replace(connection, schema.stages, own, {"number": number, "move": move})
    writing.note(action, of.namespace, of.name, {"stage": stage, "version": number, "previous": now.number})
    writing.changed("model", of.namespace, of.name)
    return _told(connection, of, move)


def _present(connection: Connection, model_id: int, stage: str) -> Step:
    table = schema.stages
    mine = (table.c.model_id == model_id, table.c.stage == stage)
    move = connection.execute(select(table.c.move).where(*mine)).scalar()
    return _step(connection, move) if move else _NOWHERE


def _step(connection: Connection, move: int) -> Step:
    wanted = select(_moves.c.id, _moves.c.number, _moves.c.back).where(_moves.c.id == move)
    return Step(*connection.execute(wanted).one())


def _is_there(connection: Connection, model_id: int, number: int) -> bool:
    table = schema.versions
    mine = (table.c.model_id == model_id, table.c.number == number, table.c.deleted.is_(False))
    return connection.execute(select(table.c.number).where(*mine)).first() is not None


def _told(connection: Connection, of: AnyRow, move: int) -> StageMove:
    return _to_move(of, connection.execute(select(_moves).where(_moves.c.id == move)).one())


def _to_move(of: AnyRow, row: AnyRow) -> StageMove:
    return StageMove(
        namespace=of.namespace,
        model=of.name,
        stage=row.stage,
        version=row.number,
        previous=row.previous,
        at=row.at,
        actor=row.actor,
        comment=row.comment,
    )
