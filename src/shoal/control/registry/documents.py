"""Values as JSON text, and checks of what comes from outside: what was written can be read again."""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

from shoal.core.errors import InvalidInput
from shoal.core.registry import LATEST, Manifest, check_label
from shoal.core.settings.schema import check_name

T = TypeVar("T")

MAX_DOCUMENT = 1024 * 1024
MAX_TEXT = 64 * 1024
MAX_NUMBER = 10**15
"""Highest number of a version: dates written as a number fit, and so does JavaScript's idea of one."""
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def dump(value: T, kind: type[T] | object, what: str) -> str:
    """The JSON of a value.

    Raises:
        InvalidInput: it would not be the same value again (NaN, an endless number, broken text), or is too large.
    """
    try:
        text = msgspec.json.encode(value)
        same = msgspec.json.decode(text, type=kind) == value
    except (msgspec.MsgspecError, ValueError, OverflowError, TypeError) as error:
        raise InvalidInput(f"{what} holds what JSON cannot say", hint="numbers must be finite", field=what) from error
    if not same or len(text) > MAX_DOCUMENT:
        hint = f"it must be JSON of at most {MAX_DOCUMENT} bytes, with finite numbers"
        raise InvalidInput(f"{what} cannot be kept", hint=hint, field=what)
    return text.decode()


def load(text: str, kind: type[T]) -> T:
    """The value of JSON that we have written."""
    return msgspec.json.decode(text, type=kind)


def check_text(text: str, what: str) -> str:
    """Text for people: any characters that every database can hold, of a bounded length.

    Raises:
        InvalidInput: it is not that.
    """
    if len(text) > MAX_TEXT or "\0" in text or any("\ud800" <= each <= "\udfff" for each in text):
        hint = f"at most {MAX_TEXT} characters, without NUL and without halves of characters"
        raise InvalidInput(f"the {what} cannot be kept", hint=hint, field=what)
    return text


def check_model(name: str, what: str = "model") -> str:
    """A model's or service's name.

    Raises:
        InvalidInput: it may not be one.
    """
    try:
        return check_name(name)
    except ValueError as error:
        raise InvalidInput(f"{name[:80]!a} cannot be the name of a {what}", hint=f"it {error}", field=what) from error


def check_stage(stage: str) -> str:
    """A stage's name, which is not a word of ours.

    Raises:
        ConfigError, InvalidInput: it may not be one.
    """
    if stage == LATEST:
        raise InvalidInput(
            "latest is not a stage: it always is the highest version", hint="choose another name", field="stage"
        )
    return check_label(stage, "stage")


def check_number(number: int) -> int:
    """A version's number.

    Raises:
        InvalidInput: it may not be one.
    """
    if isinstance(number, bool) or not 1 <= number <= MAX_NUMBER:
        raise InvalidInput(f"{number!a} cannot be a version", hint=f"a number from 1 to {MAX_NUMBER}", field="version")
    return number


def check_manifest(manifest: Manifest) -> Manifest:
    """A manifest of at least one file, each path once.

    Raises:
        InvalidInput: it is not that.
    """
    if not manifest.files:
        raise InvalidInput("the artifact has no files", hint="push a folder that holds a model", field="manifest")
    if len({each.path for each in manifest.files}) != len(manifest.files):
        raise InvalidInput("the manifest names a file twice", hint="each path once", field="manifest")
    for each in manifest.files:
        if not each.path or each.size < 0 or not _SHA256.match(each.sha256):
            hint = "a path, a size, and a SHA-256 of 64 lower-case hexadecimal digits"
            raise InvalidInput(f"the manifest's entry {each.path[:80]!a} is not complete", hint=hint, field="manifest")
    return manifest


def pattern(text: str) -> str:
    """A LIKE pattern (escape ``\\``) that finds a piece of lower-cased text anywhere."""
    escaped = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def searchable(*texts: str) -> str:
    """What a search looks through: the texts, lower-cased, one a line."""
    return "\n".join(text.lower() for text in texts if text)
