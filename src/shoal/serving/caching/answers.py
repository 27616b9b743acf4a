"""One answer for many callers: the same but for the id, which is put in for each of them. Pure."""

from __future__ import annotations

from typing import NamedTuple

from shoal.core.call import Format
from shoal.core.wire import json_data, v2_proto
from shoal.serving.caching import canonical


class Answer(NamedTuple):
    """An encoded response to a request without an id.

    Attributes:
        body, json_length: as `core.call.Call.answer` takes them.
        place: where in JSON an id belongs; -1: nowhere, as the format has none or the model gave one itself.
    """

    body: bytes
    json_length: int
    place: int


class Answers:
    """Reads the answers of one model version.

    Args:
        name, version: of the model, as its answers begin with them.
    """

    __slots__ = ("_start",)

    def __init__(self, name: str, version: str) -> None:
        start = json_data.encode({"model_name": name, **({"model_version": version} if version else {})})
        self._start = start[:-1] + b","

    def read(self, format: Format, body: bytes, json_length: int) -> Answer:
        """An answer as it came from the model."""
        place = -1
        if format == Format.V2_JSON:
            start = len(self._start) if body.startswith(self._start) else 1
            place = -1 if body.startswith(b'"id":', start) else start
        elif format == Format.V2_PROTO and not canonical.answer_has_id(body):
            place = len(body)
        return Answer(body, json_length, place)


def for_caller(answer: Answer, format: Format, id: str | None) -> tuple[bytes, int]:
    """Body and bytes of JSON for a caller who gave this id."""
    body, json_length, place = answer
    if id is None or place < 0:
        return body, json_length
    record = v2_proto.id_record(id) if format == Format.V2_PROTO else b'"id":%b,' % json_data.encode(id)
    return b"".join((body[:place], record, body[place:])), json_length + len(record) if json_length >= 0 else -1


def is_whole(format: Format, body: bytes) -> bool:
    """Whether all rows were answered; the plain string route tells errors of some of its inputs in an answer."""
    return format != Format.PREDICT_ALL or body.endswith(b"]}")
