"""From a name that a client wrote to the handle of a model.

Names are checked before anybody looks them up, so that nothing a client writes can be a path, an escape sequence or a
novel. An unknown name is answered with those that are near.
"""

from __future__ import annotations

import difflib
import heapq
import itertools
import operator
import re

from shoal.core.errors import InvalidInput, NotFound
from shoal.core.ports import ModelHandle, Models

MAX_NAME = 255
NEAR_AMONG = 100
"""Names among which near ones are looked for, however many are known: it is done on the loop."""
COMPARED = 8
"""Names that are compared letter by letter, which takes up to 50 us for each."""

_NAME = re.compile(r"[\w][\w.+@-]*", re.ASCII)


def checked_name(text: str, what: str = "model name") -> str:
    """The text, if it can be a name.

    Raises:
        InvalidInput: it is empty, too long, or has characters that no name has.
    """
    field = what.replace(" ", "_")
    if len(text) > MAX_NAME:
        raise InvalidInput(f"the {what} is longer than {MAX_NAME} characters", field=field)
    if not _NAME.fullmatch(text):
        hint = "letters, digits and . _ - + @ make a name; it starts with a letter, a digit or _"
        raise InvalidInput(f"{text[:80]!a} cannot be a {what}", field=field, hint=hint)
    return text


def find(models: Models, name: str, version: str = "") -> ModelHandle:
    """The handle of a version, ready or not.

    Raises:
        InvalidInput: not a name.
        NotFound: no such model or version; near names are in the hint, unless it will be looked for elsewhere.
    """
    checked_name(name)
    if version:
        checked_name(version, "model version")
    try:
        return models.find(name, version)
    except NotFound as error:
        if models.discoverable(name, version):  # every model's first call comes here
            raise
        raise with_near_names(models, name, error) from error


def with_near_names(models: Models, name: str, error: NotFound) -> NotFound:
    """The error, with names that the client may have meant."""
    near = near_names(models, name)
    return NotFound(error.message, hint=f"did you mean {' or '.join(near)}?") if near else error


def near_names(models: Models, name: str) -> list[str]:
    """Up to three names of served models that look like this one (itself excluded)."""
    meant = name[:64]
    known = {*models.some(NEAR_AMONG)} - {name}
    alike = heapq.nlargest(COMPARED, sorted(known), key=lambda other: _same_ends(meant, other))
    return difflib.get_close_matches(meant, alike, n=3)


def _same_ends(one: str, other: str) -> float:
    """How much of two names is the same at their beginnings and ends: all but a little, where one is mistyped."""
    return (_same_start(one, other) + _same_start(one[::-1], other[::-1])) / (len(one) + len(other))


def _same_start(one: str, other: str) -> int:
    return sum(itertools.accumulate(map(operator.eq, one, other), operator.and_))
