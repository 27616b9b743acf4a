"""The numbered feed of changes, as it is read. See `growth` for what makes its numbers trustworthy."""

from __future__ import annotations

from sqlalchemy import select

from shoal.control.registry import schema
from shoal.control.registry.growth import cut, jump
from shoal.control.registry.part import Part
from shoal.core.routes import Change, Feed


class FeedPart(Part):
    """Reading and cutting the feed."""

    def position(self) -> int:
        """Number of the newest entry."""
        with self._reading() as connection:
            position: int = connection.execute(select(schema.feed_head.c.position)).scalar_one()
        return position

    def changes(self, after: int, limit: int = 1000) -> Feed:
        """What has come after a position; `reset` if that is not kept any more, or was never given out."""
        table = schema.changes
        with self._reading() as connection:
            head = connection.execute(select(schema.feed_head)).one()
            if not head.floor <= after <= head.position:
                return Feed(changes=(), position=head.position, reset=True)
            wanted = select(table).where(table.c.number > after).order_by(table.c.number).limit(limit)
            found = tuple(Change(**row._mapping) for row in connection.execute(wanted))
        return Feed(changes=found, position=found[-1].number if len(found) == limit else head.position)

    def trim_feed(self, keep: int) -> None:
        """Forget all but the newest entries; readers that are further behind start again."""
        with self._database.write() as connection:
            cut(connection, keep)

    def renumber_feed(self) -> None:
        """After a restore by other means than `backup` (such as pg_restore): make all readers start again."""
        with self._database.write() as connection:
            jump(connection)
