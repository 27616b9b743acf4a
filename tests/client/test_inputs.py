"""What callers pass, as tensors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.client.inputs import cast, columns_to_tensors, simplest, texts, to_arrays, to_tensors
from shoal.core.errors import InvalidInput
from shoal.core.types import InferenceResponse, Signature, Tensor, TensorSpec

IRIS = Signature((TensorSpec("X", "FP32", (-1, 4)),))
TEXT = Signature((TensorSpec("text", "BYTES", (-1, 1)),))
PAIR = Signature((TensorSpec("age", "INT64", (-1, 1)), TensorSpec("city", "BYTES", (-1,))))


def test_a_nested_list_takes_the_name_and_type_of_the_only_input() -> None:
    [tensor] = to_tensors([[5.1, 3.5, 1.4, 0.2]], IRIS)
    assert (tensor.name, tensor.datatype, tensor.shape) == ("X", "FP32", [1, 4])


def test_one_row_needs_no_batch_dimension() -> None:
    [tensor] = to_tensors(np.arange(4), IRIS)
    assert (tensor.datatype, tensor.shape) == ("FP32", [1, 4])


def test_without_a_signature_the_array_is_sent_as_it_is() -> None:
    [tensor] = to_tensors(np.zeros((2, 3)), Signature())
    assert (tensor.datatype, tensor.shape) == ("FP64", [2, 3])


def test_strings_become_bytes_in_the_declared_shape() -> None:
    [tensor] = to_tensors(["good", "bäd"], TEXT)
    assert (tensor.name, tensor.shape, tensor.datatype) == ("text", [2, 1], "BYTES")
    assert tensor.as_numpy().ravel().tolist() == [b"good", "bäd".encode()]


def test_bytes_keep_their_zeros() -> None:
    [tensor] = to_tensors([b"a\x00\x00", b"b"], Signature())
    assert tensor.as_numpy().tolist() == [b"a\x00\x00", b"b"]


def test_a_mapping_gives_one_tensor_for_each_name() -> None:
    tensors = to_tensors({"age": [[31], [42]], "city": ["Bonn", "Oslo"]}, PAIR)
    assert [(each.name, each.datatype, each.shape) for each in tensors] == [
        ("age", "INT64", [2, 1]),
        ("city", "BYTES", [2]),
    ]


def test_tensors_stay_as_they_are() -> None:
    tensor = Tensor("a", [1], "INT8", [1])
    assert to_tensors([tensor], IRIS) == [tensor]


def test_a_frame_is_a_matrix_for_a_model_of_one_input() -> None:
    [tensor] = to_tensors(pd.DataFrame({"a": [1, 2], "b": [3.5, 4], "c": [0, 0], "d": [1, 1]}), IRIS)
    assert (tensor.name, tensor.shape, tensor.datatype) == ("X", [2, 4], "FP32")
    assert tensor.as_numpy()[:, 1].tolist() == [3.5, 4.0]


def test_a_frame_is_a_tensor_for_each_column_that_the_model_names() -> None:
    tensors = to_tensors(pd.DataFrame({"age": [31, 42], "city": ["Bonn", "Oslo"]}), PAIR)
    assert [(each.name, each.shape, each.datatype) for each in tensors] == [
        ("age", [2, 1], "INT64"),
        ("city", [2], "BYTES"),
    ]


def test_mixed_columns_without_a_signature_are_sent_apart() -> None:
    tensors = columns_to_tensors({"n": np.array([1.0]), "t": np.array(["x"], dtype=object)}, Signature())
    assert [(each.name, each.datatype) for each in tensors] == [("n", "FP64"), ("t", "BYTES")]


def test_one_array_for_two_inputs_names_the_inputs() -> None:
    with pytest.raises(InvalidInput, match="2 inputs") as caught:
        to_tensors([[1, 2]], PAIR)
    assert "age, city" in caught.value.hint


def test_ragged_rows_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match="X: rows of different lengths"):
        to_tensors([[1, 2], [3]], IRIS)


def test_dates_are_refused_with_a_hint() -> None:
    with pytest.raises(InvalidInput, match="input X"):
        to_tensors(np.array(["2020-01-01"], dtype="datetime64[D]"), IRIS)


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1), st.sampled_from(["INT8", "INT32", "UINT8", "FP64"]))
def test_casting_never_changes_an_integer(values: list[int], datatype: str) -> None:
    assert cast(np.array(values), datatype).tolist() == values


def test_floats_never_become_integers() -> None:
    assert cast(np.array([1.5]), "INT64").dtype == np.float64


def test_one_output_is_an_array_and_many_are_a_mapping() -> None:
    one = InferenceResponse([Tensor("y", [2], "INT64", [0, 1])])
    assert simplest(to_arrays(one)).tolist() == [0, 1]
    two = InferenceResponse([Tensor("y", [1], "INT64", [0]), Tensor("label", [1], "BYTES", [b"ok"])])
    arrays = simplest(to_arrays(two))
    assert isinstance(arrays, dict)
    assert arrays["label"].tolist() == ["ok"]


def test_texts_are_refused_from_a_model_of_numbers() -> None:
    with pytest.raises(InvalidInput, match="does not answer with text"):
        texts(InferenceResponse([Tensor("y", [1], "FP32", [0.5])]))
