"""Tables on disk."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.cli.tables import as_table, format_of, plain, read_table, to_records, write_table
from shoal.core.errors import InvalidInput

TABLE = {
    "n": np.array([1, 2]),
    "x": np.array([0.1, 2.5e-300]),
    "flag": np.array([True, False]),
    "text": np.array(["plain", 'a "quoted", ünï\ncell'], dtype=object),
}


@pytest.mark.parametrize("format", ["csv", "tsv", "parquet", "jsonl"])
def test_what_is_written_is_read_back(format: str) -> None:
    back = read_table(write_table(TABLE, format), format)
    assert {name: values.tolist() for name, values in back.items()} == {
        name: values.tolist() for name, values in TABLE.items()
    }
    assert [values.dtype.kind for values in back.values()] == ["i", "f", "b", "O"]


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_floats_survive_csv_to_the_last_bit(values: list[float]) -> None:
    back = read_table(write_table({"x": np.array(values)}, "csv"), "csv")
    assert back["x"].astype(float).tolist() == values


@pytest.mark.parametrize(
    ("path", "format"),
    [("a/b.CSV", "csv"), ("x.parquet", "parquet"), ("x.jsonl", "jsonl"), ("x.json", "json"), ("-", "json")],
)
def test_the_ending_tells_the_format(path: str, format: str) -> None:
    assert format_of(path) == format


def test_numbers_without_a_header_get_numbers_as_names() -> None:
    table = read_table(b"5.1,3.5\n4.9,3\n", "csv")
    assert {name: values.tolist() for name, values in table.items()} == {"0": [5.1, 4.9], "1": [3.5, 3.0]}


def test_an_empty_cell_of_numbers_is_nan() -> None:
    values = read_table(b"a,b\n1.5,x\n,y\n", "csv")["a"].tolist()
    assert values[0] == 1.5
    assert math.isnan(values[1])


@pytest.mark.parametrize(
    ("content", "format", "message"),
    [
        (b"a,b\n1\n", "csv", "line 2 has 1 cells"),
        (b"a,a\n1,2\n", "csv", "same name"),
        (b"", "csv", "no rows"),
        (b"\xff\xfe\x00", "csv", "not UTF-8"),
        (b"not parquet", "parquet", "not Parquet"),
        (b'{"a": 1}\n{"b": 1}\n', "jsonl", "row 2 has other columns"),
        (b'{"a": 1}\n[1]\n', "jsonl", "line 2 is not a JSON object"),
        (b"{]\n", "jsonl", "line 1 is not JSON"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_sentence(content: bytes, format: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        read_table(content, format)


def test_a_matrix_becomes_numbered_columns() -> None:
    table = as_table({"y": np.array([[1, 2], [3, 4]]), "label": np.array([["a"], ["b"]], dtype=object)})
    assert to_records(table) == [{"y_0": 1, "y_1": 2, "label": "a"}, {"y_0": 3, "y_1": 4, "label": "b"}]


def test_json_gets_no_bare_nan() -> None:
    assert plain([math.nan, [math.inf, -math.inf], 1.0]) == ["NaN", ["Infinity", "-Infinity"], 1.0]
