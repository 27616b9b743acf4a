"""The codecs: there and back, and what does not fit."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shoal import Allow, ImageCodec, InferenceRequest, JsonCodec, NumpyCodec, PandasCodec, StringCodec, Tensor
from shoal.core.codecs import images
from shoal.core.errors import InvalidInput, PermissionDenied
from support.web import page, web


@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]))))
def test_strings_come_back(texts: list[str]) -> None:
    tensor = StringCodec.encode_input("x", texts)
    assert (tensor.shape, tensor.datatype) == ([len(texts)], "BYTES")
    assert StringCodec.decode_output(tensor) == texts


def test_strings_are_read_from_lists_and_any_shape() -> None:
    assert StringCodec.decode_input(Tensor("x", [2, 1], "BYTES", [["a"], ["é"]])) == ["a", "é"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(alphabet='abé"\\\n', max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(_JSON))
def test_json_comes_back(values: list[Any]) -> None:
    tensor = JsonCodec.encode_output("x", values)
    assert JsonCodec.decode_input(tensor) == values
    assert [json.loads(each) for each in tensor.as_numpy()] == values


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float16", "float32", "float64"])
def test_arrays_come_back(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    back = NumpyCodec.decode_input(NumpyCodec.encode_input("x", array))
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype


def test_text_arrays_become_bytes() -> None:
    tensor = NumpyCodec.encode("x", np.array([["a", "é"]]))
    assert (tensor.datatype, tensor.shape) == ("BYTES", [1, 2])
    assert NumpyCodec.decode(tensor).tolist() == [[b"a", "é".encode()]]


def test_frames_come_back_as_requests_and_responses() -> None:
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, 1.5], "word": ["a", "é"], "flag": [True, False]})
    request = PandasCodec.encode_request(frame)
    assert [(each.name, each.datatype, each.shape) for each in request.inputs] == [
        ("n", "INT64", [2]),
        ("x", "FP64", [2]),
        ("word", "BYTES", [2]),
        ("flag", "BOOL", [2]),
    ]
    pd.testing.assert_frame_equal(PandasCodec.decode_request(request), frame)
    pd.testing.assert_frame_equal(PandasCodec.decode_response(PandasCodec.encode_response("m", frame, id="1")), frame)
    column = PandasCodec.decode_input(Tensor("c", [2, 1], "INT32", [[1], [2]]))
    assert column.tolist() == [1, 2]


def test_bytes_that_are_no_text_stay_bytes_in_a_frame() -> None:
    assert PandasCodec.decode_input(Tensor("c", [2], "BYTES", [b"\xff", b"a"])).tolist() == [b"\xff", "a"]


@pytest.mark.parametrize(
    "inputs",
    [[Tensor("a", [1, 2], "INT32", [1, 2])], [Tensor("a", [1], "INT32", [1]), Tensor("b", [2], "INT32", [1, 2])]],
)
def test_what_is_no_frame_is_refused(inputs: list[Tensor]) -> None:
    with pytest.raises(InvalidInput):
        PandasCodec.decode_request(InferenceRequest(inputs))


@pytest.mark.parametrize(
    "wrap", [bytes, base64.b64encode, lambda data: b"data:image/png;base64," + base64.b64encode(data)]
)
def test_images_come_back(wrap: Any) -> None:
    picture = Image.new("RGB", (3, 2), (10, 20, 30))
    tensor = ImageCodec.encode_input("x", [picture, picture])
    tensor.data = [wrap(each) for each in tensor.as_numpy()]
    back = ImageCodec.decode_input(tensor)
    assert [each.size for each in back] == [(3, 2), (3, 2)]
    assert back[1].getpixel((0, 0)) == (10, 20, 30)


@pytest.mark.parametrize("data", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n", b"%PDF-1.4"])
def test_what_is_no_picture_is_the_callers_error(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"x\[0\] is no picture"):
        ImageCodec.decode_input(Tensor("x", [1], "BYTES", [data]))


def test_picture_that_is_too_large_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_PIXELS", 5)
    tensor = ImageCodec.encode_input("x", [Image.new("L", (3, 2))])
    with pytest.raises(InvalidInput, match="3 x 2 pixels"):
        ImageCodec.decode_input(tensor)


def test_a_picture_is_fetched_within_the_same_bounds() -> None:
    data = bytes(ImageCodec.encode("x", [Image.new("RGB", (3, 2))]).as_numpy()[0])
    with web({"/1.png": page(data), "/text": page(b"hello")}) as server:
        here, allow = f"http://127.0.0.1:{server.port}", Allow(private=True)
        assert ImageCodec.fetch(f"{here}/1.png", allow).size == (3, 2)
        with pytest.raises(InvalidInput, match="url is no picture"):
            ImageCodec.fetch(f"{here}/text", allow)
        with pytest.raises(PermissionDenied):
            ImageCodec.fetch(f"{here}/1.png")


@pytest.mark.parametrize("codec", [StringCodec, JsonCodec, ImageCodec])
def test_only_bytes_are_taken(codec: Any) -> None:
    with pytest.raises(InvalidInput, match="must be BYTES, it is FP32") as raised:
        codec.decode_input(Tensor("x", [1], "FP32", [1.0]))
    assert raised.value.field == "x"


def test_bad_text_and_json_are_named() -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        StringCodec.decode_input(Tensor("x", [1], "BYTES", [b"\xff"]))
    with pytest.raises(InvalidInput, match="element 1 of 'x' is not JSON") as raised:
        JsonCodec.decode_input(Tensor("x", [2], "BYTES", [b"1", b"{"]))
    assert raised.value.field == "x[1]"
    with pytest.raises(InvalidInput, match="is not JSON"):
        JsonCodec.decode_input(Tensor("x", [1], "BYTES", [b"[" * 100_000]))


def test_whole_requests_have_one_tensor() -> None:
    request = StringCodec.encode_request(["a"])
    assert StringCodec.decode_request(request) == ["a"]
    response = StringCodec.encode_response("m", ["b"], id="7")
    assert (response.model_name, response.id, StringCodec.decode_response(response)) == ("m", "7", ["b"])
    with pytest.raises(InvalidInput, match="there are 0"):
        StringCodec.decode_request(InferenceRequest([]))
