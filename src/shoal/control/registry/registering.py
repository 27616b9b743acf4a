"""Registration: new versions of models, which come into being on the way; one by one or by the thousand.

There is one way for both, a batch in one transaction. Numbers are handed out under the writer's lock, so that no two
versions ever get the same, and none is used again. A number that is given and taken already is the same version if the
content is the same, and a conflict if not: versions do not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from shoal.control.registry.candidates import Candidate, candidate
from shoal.control.registry.keys import once
from shoal.control.registry.ledger import Ledger
from shoal.control.registry.part import Part, Writing
from shoal.core.registry import NewVersion, Version

CHUNK = 1000
"""Versions in one transaction of `register_many`."""


class RegisteringPart(Part):
    """Registration."""

    def register(self, new: NewVersion, *, actor: str = "", key: str = "") -> Version:
        """Make a version visible; its blobs are in the store already.

        Args:
            key: a repeated request with the same key is answered, not done again.

        Raises:
            InvalidInput: something of it is wrong, or lineage that the policy wants is missing.
            NotFound: there is no such namespace.
            Conflict: number or alias are taken by other content, or the key by another request.
            QuotaExceeded, StorageQuotaExceeded: the namespace may not hold so much.
        """
        checked = candidate(new)
        with self._writing(actor) as writing:
            return once(writing, key, new, lambda: _register(writing, [checked])[0], Version)

    def register_many(self, new: Iterable[NewVersion], *, actor: str = "") -> list[Version]:
        """Register versions in few transactions, in their order.

        Each transaction holds `CHUNK` versions and stands by itself: on an error those before it are registered, so
        repeat with given numbers. Raises what `register` does.
        """
        checked, done = [candidate(each) for each in new], []
        chunks = iter(checked)
        while chunk := list(islice(chunks, CHUNK)):
            with self._writing(actor) as writing:
                done += _register(writing, chunk)
        return done


def _register(writing: Writing, batch: Sequence[Candidate]) -> list[Version]:
    ledger = Ledger.open(writing, batch)
    versions = [ledger.enter(each) for each in batch]
    ledger.write(writing)
    return versions
