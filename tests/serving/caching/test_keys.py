from __future__ import annotations

import pytest

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.call import Format
from shoal.serving.caching.keys import MAX_BODY, MAX_PARSED, Keys, Subject
from support.asked import AskedCall, ask

KEYS = Keys(b"version")


def subject(body: bytes, format: Format = Format.V2_JSON, json_length: int = -1, keys: Keys = KEYS) -> Subject:
    found = keys.of(AskedCall(body, format=format, json_length=json_length))
    assert found is not None
    return found


def test_spelling_and_id_and_urgency_do_not_change_the_key() -> None:
    first = subject(ask(1))
    for body in (
        ask(1, id="a"),
        ask(1, id="a", parameters={"priority": 1, "timeout": 5}),
        b" " + ask(1).replace(b",", b", "),
    ):
        assert subject(body).key == first.key
    assert subject(ask(1, id="a")) == Subject(first.key, subject(ask(1, id="b")).body, -1, "a")
    assert subject(ask(1)).body == ask(1)


def test_content_parameters_version_and_format_change_it() -> None:
    seen = [
        subject(ask(1)),
        subject(ask(2)),
        subject(ask(1.0)),
        subject(ask(1, parameters={"deep": True})),
        subject(ask(1), keys=Keys(b"other version")),
        subject(ask(1), Format.V1_JSON),
        subject(ask(1), Format.PREDICT_ALL),
        subject(ask(1), json_length=0),
    ]
    assert len({each.key for each in seen}) == len(seen)


def test_the_border_between_json_and_tensors_is_a_part_of_the_key() -> None:
    head = b'{"inputs":[]}'
    one = subject(head + b"{}", json_length=len(head))
    assert one.key != subject(head + b"[]", json_length=len(head)).key
    named = b'{"id":"7", "inputs":[]}'
    other = subject(named + b"{}", json_length=len(named))
    assert other == Subject(one.key, head + b"{}", len(head), "7")


def test_large_json_is_taken_byte_by_byte_without_its_leading_id() -> None:
    filling = ["x" * 100] * (MAX_PARSED // 100)
    one, other = subject(ask(filling, id="a")), subject(ask(filling, id="b"))
    assert one.key == other.key == subject(ask(filling)).key
    assert (one.id, other.id) == ("a", "b")
    assert subject(b" " + ask(filling)).key != one.key


def test_doubtful_json_is_only_equal_to_itself() -> None:
    twice = b'{"inputs":[2],"inputs":[1]}'
    assert subject(twice).key == subject(twice).key
    assert subject(twice).key != subject(b'{"inputs":[1]}').key


def test_what_is_too_large_has_no_key() -> None:
    assert KEYS.of(AskedCall(b"x" * (MAX_BODY + 1))) is None


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_kind_of_buffer_has_the_same_key(kind: type) -> None:
    for format in Format:
        body = ask(1) if format != Format.V2_PROTO else pb.ModelInferRequest(model_name="m", id="a").SerializeToString()
        call = AskedCall(body, format=format)
        call.body = kind(body)
        found = KEYS.of(call)
        assert found is not None
        assert found.key == subject(body, format).key


def test_tenants_share_nothing_unless_the_model_is_public() -> None:
    def key(tenant: str, keys: Keys, format: Format = Format.V2_JSON) -> bytes:
        call = AskedCall(ask(1), format=format)
        call.tenant = tenant
        found = keys.of(call)
        assert found is not None
        return found.key

    tenants = ("", "a", "b", "1 a", "\u00e9")
    for format in (Format.V2_JSON, Format.PREDICT_ALL):
        assert len({key(each, KEYS, format) for each in tenants}) == len(tenants)
        assert len({key(each, Keys(b"version", public=True), format) for each in tenants}) == 1
