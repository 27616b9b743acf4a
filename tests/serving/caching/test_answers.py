from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.call import Format
from shoal.core.wire import v2_json
from shoal.serving.caching.answers import Answers, for_caller, is_whole
from support.asked import AskedCall, answer_to, ask

IDS = st.text(st.characters(codec="utf-8"), max_size=12)
MESSAGE = pb.ModelInferRequest(model_name="m", inputs=[{"name": "x"}])


@given(IDS)
def test_with_the_id_put_in_it_is_what_the_model_would_have_answered(id: str) -> None:
    for length in (-1, len(ask(1))):
        kept = Answers("m", "").read(Format.V2_JSON, *answer_to(AskedCall(ask(1), json_length=length), 5))
        named = ask(1, id=id)
        wanted = answer_to(AskedCall(named, json_length=-1 if length < 0 else len(named)), 5)
        assert for_caller(kept, Format.V2_JSON, id) == wanted
        assert for_caller(kept, Format.V2_JSON, None) == (kept.body, kept.json_length)


@given(IDS)
def test_a_message_with_the_id_put_in_is_the_same_message(id: str) -> None:
    kept = Answers("m", "").read(
        Format.V2_PROTO, *answer_to(AskedCall(MESSAGE.SerializeToString(), format=Format.V2_PROTO), 5)
    )
    named = pb.ModelInferResponse.FromString(for_caller(kept, Format.V2_PROTO, id)[0])
    plain = pb.ModelInferResponse.FromString(kept.body)
    assert named.id == id
    named.id = ""
    assert named == plain


def test_an_answer_that_begins_otherwise_gets_its_id_all_the_same() -> None:
    kept = Answers("another", "3").read(Format.V2_JSON, b'{"model_name":"m","outputs":[]}', -1)
    body, _ = for_caller(kept, Format.V2_JSON, "a")
    assert msgspec.json.decode(body) == {"id": "a", "model_name": "m", "outputs": []}
    assert v2_json.decode_response(body).id == "a"


@pytest.mark.parametrize(
    ("format", "body"),
    [
        (Format.V2_JSON, b'{"model_name":"m","model_version":"3","id":"own","outputs":[]}'),
        (Format.V2_PROTO, pb.ModelInferResponse(model_name="m", model_version="3", id="own").SerializeToString()),
        (Format.V1_JSON, b'{"predictions":[1]}'),
        (Format.PREDICT_ALL, b'{"outputs":["a"]}'),
    ],
)
def test_an_answer_with_an_id_of_its_own_or_without_any_stays_as_it_is(format: Format, body: bytes) -> None:
    kept = Answers("m", "3").read(format, body, -1)
    assert for_caller(kept, format, "a") == (body, -1)


def test_an_answer_that_tells_errors_is_not_whole() -> None:
    assert is_whole(Format.PREDICT_ALL, b'{"outputs":["a"]}')
    assert not is_whole(Format.PREDICT_ALL, b'{"outputs":["a",null],"errors":{"1":"no"}}')
    assert is_whole(Format.V1_JSON, b"anything")
