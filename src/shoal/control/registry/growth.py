"""How the feed grows, is cut, and jumps: the numbers behind `feed`.

`feed_head` is one row: the position, and the floor, below which nothing is kept. Because writers are alone, a number
becomes visible when all before it are: a reader that has seen N never later meets an entry of N or less.

A backup that is restored would give out numbers that readers have seen for other changes. So a backup's numbers jump
ahead, further than the original will have come: whoever followed the original is told to start again.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from shoal.control.registry import schema

Entry = tuple[str, str, str, str]
"""Kind, namespace, name, environment."""
JUMP = 1_000_000_000


def grow(connection: Connection, entries: list[Entry]) -> None:
    """Append entries, in this order."""
    head = schema.feed_head
    statement = update(head).values(position=head.c.position + len(entries)).returning(head.c.position)
    first = connection.execute(statement).scalar_one() - len(entries) + 1
    rows = [
        {"number": number, "kind": kind, "namespace": namespace, "name": name, "environment": environment}
        for number, (kind, namespace, name, environment) in enumerate(entries, first)
    ]
    connection.execute(insert(schema.changes), rows)


def cut(connection: Connection, keep: int) -> None:
    """Keep the newest entries only."""
    numbers = schema.changes.c.number
    newest_gone = select(numbers).order_by(numbers.desc()).offset(keep).limit(1)
    floor = connection.execute(newest_gone).scalar()
    if floor is not None:
        connection.execute(delete(schema.changes).where(numbers <= floor))
        connection.execute(update(schema.feed_head).values(floor=floor))


def jump(connection: Connection) -> None:
    """Go on with numbers that nobody has seen: all who follow must start again."""
    head = schema.feed_head.c
    connection.execute(delete(schema.changes))
    connection.execute(update(schema.feed_head).values(position=head.position + JUMP, floor=head.position + JUMP))
