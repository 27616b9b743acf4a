from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.wire import v2_json
from shoal.serving.caching import canonical
from support.asked import ask

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
VALUES = st.integers(-(1 << 99), 1 << 99) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS | st.booleans()
REQUESTS = st.fixed_dictionaries(
    {"inputs": st.lists(st.dictionaries(TEXTS, VALUES | st.lists(VALUES, max_size=4), max_size=4), max_size=3)},
    optional={
        "id": st.none() | TEXTS,
        "parameters": st.none()
        | st.dictionaries(st.sampled_from(["priority", "timeout", "a", "b:"]), VALUES | st.none()),
        "outputs": st.lists(st.dictionaries(TEXTS, VALUES, max_size=2), max_size=2),
    },
)


def without_what_does_not_matter(request: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in request.items() if key != "id"}
    parameters = {
        key: value for key, value in (kept.pop("parameters", None) or {}).items() if key not in ("priority", "timeout")
    }
    return {**kept, **({"parameters": parameters} if parameters else {})}


@given(REQUESTS, st.randoms(use_true_random=False), st.sampled_from([None, 1, "\t"]), st.booleans())
@example({"inputs": [], "parameters": {"priority": ":"}}, random.Random(0), None, False)
@example({"inputs": [], "parameters": {"timeout": None}}, random.Random(0), None, False)
@settings(max_examples=150)
def test_every_spelling_of_a_request_has_one_canonical_form_that_means_the_same(
    request_: dict[str, Any], chance: Any, indent: Any, ascii_only: bool
) -> None:
    keys = list(request_)
    chance.shuffle(keys)
    spelt = json.dumps({key: request_[key] for key in keys}, indent=indent, ensure_ascii=ascii_only)
    found = canonical.json(spelt.encode())
    plain = canonical.json(msgspec.json.encode(request_))
    assert plain is not None
    assert found is None or found == plain
    if "\\" not in spelt:
        assert found == plain
    meaning, id = plain
    assert id == request_.get("id")
    assert msgspec.json.decode(meaning) == without_what_does_not_matter(request_)
    assert canonical.json(meaning) == (meaning, None)


@given(REQUESTS, REQUESTS)
def test_what_means_something_else_has_another_form(one: dict[str, Any], other: dict[str, Any]) -> None:
    forms = [canonical.json(msgspec.json.encode(each)) for each in (one, other)]
    same = repr(without_what_does_not_matter(one)) == repr(without_what_does_not_matter(other))
    if not same and forms[0] is not None and forms[1] is not None:
        left, right = without_what_does_not_matter(one), without_what_does_not_matter(other)
        assert (forms[0][0] == forms[1][0]) == (
            msgspec.json.encode(left, order="sorted") == msgspec.json.encode(right, order="sorted")
        )


@pytest.mark.parametrize(
    "text",
    [
        b'{"inputs":[],"inputs":[1]}',
        b'{"id":"a","id":"b","inputs":[]}',
        b'{"inputs":[{"name":"x","name":"y"}]}',
        b'{"inputs":[],"surplus":1}',
        b'{"inputs":[-0]}',
        b'{"inputs":[' + b"9" * 5000 + b"]}",
        b'{"inputs":[1],"id":7}',
        b'{"inputs":[NaN]}',
        b'{"inputs":[1]',
        b'{"parameters":{}}',
        b"[1]",
        b"",
        b'{"inputs":["\xff"]}',
        b"[" * 5000,
    ],
)
def test_what_is_doubtful_has_no_canonical_form(text: bytes) -> None:
    assert canonical.json(text) is None


def test_the_canonical_form_is_a_request_that_asks_for_the_same() -> None:
    body = b'{ "parameters":{"timeout":5,"deep":true}, "inputs":[{"datatype":"FP32","shape":[2],"data":[1, 2e0],"name":"x"}],"id":"7"}'
    found = canonical.json(body)
    assert found is not None
    ours, theirs = v2_json.decode_request(found[0]), v2_json.decode_request(body)
    assert ours.inputs[0].as_numpy().tolist() == theirs.inputs[0].as_numpy().tolist()
    assert ours.parameters == {"deep": True}
    assert (found[1], ours.id) == ("7", None)


@pytest.mark.parametrize(
    ("text", "id"),
    [
        (b'{"id":"a","inputs":[1]}', "a"),
        (b'{ "id" : "" ,\n "inputs":[1]}', ""),
        ('{"id":"ü:","inputs":[1]}'.encode(), "ü:"),
    ],
)
def test_a_leading_id_is_cut_out_unseen(text: bytes, id: str) -> None:
    assert canonical.without_leading_id(text) == (b'{"inputs":[1]}', id)


@pytest.mark.parametrize(
    "text",
    [
        b'{"inputs":[1],"id":"a"}',
        b'{"id":"a","id":"b","inputs":[1]}',
        b'{"id":"a","inputs":["\\u0022id\\u0022"]}',
        b'{"id":"\\n","inputs":[1]}',
        b'{"id":"\xff","inputs":[1]}',
        b'{"id":null,"inputs":[1]}',
        b'{"id":"a"}',
    ],
)
def test_a_doubtful_id_stays(text: bytes) -> None:
    assert canonical.without_leading_id(text) is None


@given(TEXTS, TEXTS, TEXTS.filter(bool), st.integers(0, 60))
def test_the_id_of_a_message_is_cut_out_and_nothing_else(name: str, version: str, id: str, inputs: int) -> None:
    message = pb.ModelInferRequest(
        model_name=name, model_version=version, inputs=[{"name": "x", "shape": [1, 4]}] * inputs
    )
    plain = message.SerializeToString()
    assert canonical.proto(plain) == (plain, None)
    message.id = id
    assert canonical.proto(message.SerializeToString()) == (plain, id)


def test_an_id_in_an_unusual_place_or_twice_stays() -> None:
    name, id = pb.ModelInferRequest(model_name="m"), pb.ModelInferRequest(id="a")
    parts = [name.SerializeToString(), id.SerializeToString()]
    first = pb.ModelInferRequest(parameters={"p": {"int64_param": 1}}).SerializeToString()
    for message in (
        parts[0] + first + parts[1],
        parts[0] + parts[1] + first + parts[1],
        parts[0] + parts[1] + first * 65,
    ):
        assert canonical.proto(message) == (message, None)


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_for_a_message(message: bytes) -> None:
    rest, id = canonical.proto(message)
    assert len(rest) <= len(message)
    assert id is not None or rest == message or len(rest) < len(message)
    canonical.answer_has_id(message)
    canonical.json(message)
    canonical.without_leading_id(message)


def test_an_answer_with_an_id_is_told_from_one_without() -> None:
    assert canonical.answer_has_id(pb.ModelInferResponse(model_name="m", model_version="1", id="a").SerializeToString())
    assert not canonical.answer_has_id(pb.ModelInferResponse(model_name="m").SerializeToString())
    assert canonical.json(ask(1, id="x"))[1] == "x"  # type: ignore[index]
