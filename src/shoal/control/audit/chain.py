"""What chains the records of the audit log: each hash covers its record and the hash before. Pure.

    hash = SHA-256(hash before + canonical record)

The canonical record is JSON without spaces, keys in order. Who changes, removes or swaps a record breaks the chain
there; who cuts off the newest is found out by a head that was remembered: in the database, or by a person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from shoal.core.keyring import Verdict

START = ""
"""The hash before the first record."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What a hash covers, in this order; the attributes are those of `core.catalogue.Event`."""

    number: int
    at: float
    actor: str
    action: str
    namespace: str
    subject: str
    detail: dict[str, Any]
    outcome: str
    request: str


class Head(msgspec.Struct, frozen=True):
    """The newest record: its number and its hash."""

    number: int = 0
    hash: str = START


def link(before: str, record: Record) -> str:
    """The hash of a record that comes after one with the hash `before`."""
    return hashlib.sha256(before.encode() + msgspec.json.encode(record, order="sorted")).hexdigest()


def verify(records: Iterable[tuple[Record | None, int, str]], kept: Head, remembered: Head | None = None) -> Verdict:
    """Look at a whole log.

    Args:
        records: in order: a record (None if it cannot be read), its number, and the hash that is written beside it.
        kept: the head that the database remembers.
        remembered: a head that somebody has kept elsewhere.
    """
    number, before, count, met = 0, START, 0, remembered is None or remembered.number == 0
    for record, at, written in records:
        if record is None or link(before, record) != written:
            if at != number + 1:
                return _broken(count, number, before, number + 1, "it is missing")
            return _broken(count, number, before, at, "it is not what was written")
        number, before, count = at, written, count + 1
        if remembered is not None and at == remembered.number:
            if written != remembered.hash:
                return _broken(count, number, before, at, "it is not the one that was remembered")
            met = True
    if kept.number > number or not met:
        return _broken(count, number, before, number + 1, "it was there, and all from here on is cut off")
    if kept != Head(number, before):
        return _broken(count, number, before, kept.number + 1, "it was added by somebody else")
    return Verdict(records=count, number=number, hash=before)


def _broken(count: int, number: int, before: str, broken: int, reason: str) -> Verdict:
    return Verdict(records=count, number=number, hash=before, broken=broken, reason=f"record {broken}: {reason}")
