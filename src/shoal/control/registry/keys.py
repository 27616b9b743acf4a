"""Requests that may be repeated: a key, what was asked under it, and what was answered.

The answer is kept in the transaction of the change itself. So a caller whose answer was lost repeats with the same key
and gets the same answer, and the change was made once. The same key with something else is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TypeVar

import msgspec
from sqlalchemy import insert, select

from shoal.control.registry import schema
from shoal.control.registry.documents import check_text, load
from shoal.control.registry.part import Writing
from shoal.core.errors import Conflict

T = TypeVar("T", bound=msgspec.Struct)


def once(writing: Writing, key: str, asked: object, act: Callable[[], T], kind: type[T]) -> T:
    """Act, unless it was done under this key already; without a key, always.

    Raises:
        Conflict: the key was used for something else.
    """
    if not key:
        return act()
    content = hashlib.sha256(msgspec.json.encode(asked)).hexdigest()
    table = schema.keys
    known = writing.connection.execute(select(table).where(table.c.key == check_text(key, "key"))).first()
    if known:
        if known.content != content:
            raise Conflict("this key was used for another request", hint="take a new key for each request", field="key")
        return load(known.answer, kind)
    answer = act()
    row = {"key": key, "content": content, "answer": msgspec.json.encode(answer).decode(), "at": writing.now}
    writing.connection.execute(insert(table), row)
    return answer
