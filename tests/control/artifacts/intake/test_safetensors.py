"""Safetensors files: sound ones pass, every lie is refused, weights that are no numbers are told."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake import safetensors
from shoal.control.artifacts.intake.safetensors import BITS, examine
from shoal.core.errors import InvalidInput


def made(tensors: dict[str, tuple[str, list[int], bytes]]) -> tuple[dict[str, Any], bytes]:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (kind, shape, content) in tensors.items():
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    return header, data


def written(path: Path, header: object, data: bytes, length: int | None = None) -> Path:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + data)
    return path


GOOD = made(
    {
        "a": ("F32", [2, 2], bytes(16)),
        "b": ("BF16", [3], bytes(6)),
        "empty": ("I64", [0], b""),
        "c": ("BOOL", [], b"\1"),
    }
)


def test_a_sound_file_passes(tmp_path: Path) -> None:
    assert examine(written(tmp_path / "m", *GOOD), "m") == []
    assert examine(written(tmp_path / "m", {}, b""), "m") == []


def changed(**fields: Any) -> dict[str, Any]:
    header = json.loads(json.dumps(GOOD[0]))
    header["b"].update(fields)
    return header


@pytest.mark.parametrize(
    ("header", "data"),
    [
        (changed(data_offsets=[0, 6]), GOOD[1]),
        (changed(data_offsets=[16, 23]), GOOD[1]),
        (changed(data_offsets=[22, 16]), GOOD[1]),
        (changed(data_offsets=[-6, 0]), GOOD[1]),
        (changed(data_offsets=[10**30, 10**30 + 6]), GOOD[1]),
        (changed(data_offsets=[16]), GOOD[1]),
        (changed(shape=[4]), GOOD[1]),
        (changed(shape=[-3]), GOOD[1]),
        (changed(shape=[2**62, 2**62]), GOOD[1]),
        (changed(shape="3"), GOOD[1]),
        (changed(dtype="F33"), GOOD[1]),
        (changed(dtype="F32"), GOOD[1]),
        (changed(dtype=7), GOOD[1]),
        (GOOD[0], GOOD[1][:-1]),
        (GOOD[0], GOOD[1] + b"x"),
        (b"[]", b""),
        (b"{", b""),
        (b"[" * 100_000, b""),
        (b"\xff", b""),
    ],
)
def test_each_lie_is_refused(tmp_path: Path, header: object, data: bytes) -> None:
    with pytest.raises(InvalidInput, match="no sound safetensors file"):
        examine(written(tmp_path / "m", header, data), "m")


@pytest.mark.parametrize("length", [0, 10**9, 2**63, 2**64 - 1, 200])
def test_a_false_header_length_is_refused(tmp_path: Path, length: int) -> None:
    with pytest.raises(InvalidInput):
        examine(written(tmp_path / "m", {"a": {}}, b"", length), "m")
    (tmp_path / "m").write_bytes(b"\1\0\0")
    with pytest.raises(InvalidInput):
        examine(tmp_path / "m", "m")


@pytest.mark.parametrize(
    ("kind", "nan", "fine"),
    [
        ("F16", np.float16("nan").tobytes(), np.float16("inf").tobytes()),
        ("F32", np.float32("nan").tobytes(), np.float32("-inf").tobytes()),
        ("F64", np.float64("nan").tobytes(), np.float64(1e300).tobytes()),
        ("BF16", b"\xc0\x7f", b"\x80\x7f"),
        ("BF16", b"\xc0\xff", b"\x80\xff"),
    ],
)
def test_weights_that_are_no_numbers_are_told(tmp_path: Path, kind: str, nan: bytes, fine: bytes) -> None:
    bad = written(tmp_path / "bad", *made({"w": (kind, [2], fine + nan), "v": (kind, [1], nan)}))
    assert examine(bad, "m") == ["m has weights that are not numbers (NaN): in 'w' and 1 more"]
    assert examine(written(tmp_path / "good", *made({"w": (kind, [1], fine)})), "m") == []


@given(st.binary(max_size=200), st.one_of(st.none(), st.integers(0, 2**64 - 1)))
def test_any_bytes_are_sound_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, length: int | None
) -> None:
    path = tmp_path_factory.mktemp("any") / "m"
    path.write_bytes(data if length is None else struct.pack("<Q", length) + data)
    try:
        examine(path, "m")
    except InvalidInput:
        return


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "a"]), inner)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), st.binary(max_size=20))
def test_any_header_is_sound_or_refused(
    tmp_path_factory: pytest.TempPathFactory, header: dict[str, Any], data: bytes
) -> None:
    try:
        examine(written(tmp_path_factory.mktemp("any") / "m", header, data), "m")
    except InvalidInput:
        return


WIDTHS = {4: ["F4"], 6: ["F6_E2M3", "F6_E3M2"], 8: ["BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"],
          16: ["I16", "U16", "F16", "BF16"], 32: ["I32", "U32", "F32"], 64: ["I64", "U64", "F64", "C64"]}  # fmt: skip


@pytest.mark.parametrize(("width", "kind"), [(width, kind) for width, kinds in WIDTHS.items() for kind in kinds])
@pytest.mark.parametrize("count", [1, 3, 4, 100])
def test_a_tensor_is_as_long_as_its_type_and_shape_say(tmp_path: Path, width: int, kind: str, count: int) -> None:
    assert set(BITS) == {each for kinds in WIDTHS.values() for each in kinds}
    size = (count * width + 7) // 8
    assert examine(written(tmp_path / "m", *made({"w": (kind, [count], bytes(size))})), "m") == []
    for wrong in (size - 1, size + 1):
        with pytest.raises(InvalidInput, match="'w' is not as long"):
            examine(written(tmp_path / "m", *made({"w": (kind, [count], bytes(wrong))})), "m")


def test_each_part_of_a_large_tensor_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert safetensors.CHUNK % 8 == 0
    monkeypatch.setattr(safetensors, "CHUNK", 16)
    nan, fine = np.float32("nan").tobytes(), bytes(4)
    for at in range(10):
        weights = [nan if number == at else fine for number in range(10)]
        header, data = made(
            {"v": ("F32", [3], fine * 3), "w": ("F32", [10], b"".join(weights)), "x": ("I8", [1], b"x")}
        )
        assert examine(written(tmp_path / "m", header, data), "m") == [
            "m has weights that are not numbers (NaN): in 'w'"
        ]


def test_what_is_told_of_many_and_of_long_names_is_short(tmp_path: Path) -> None:
    nan = np.float16("nan").tobytes()
    (told,) = examine(written(tmp_path / "m", *made({"n" * 100: ("F16", [1], nan)})), "m")
    assert told == f"m has weights that are not numbers (NaN): in '{'n' * 80}'"
    (told,) = examine(written(tmp_path / "m", *made({name: ("F16", [1], nan) for name in "abc"})), "m")
    assert told.endswith("in 'a' and 2 more")


@pytest.mark.parametrize(
    ("start", "told"), [(1, "overlaps another, or leaves a gap"), (0, "shorter or longer than its header")]
)
def test_the_first_tensor_begins_at_the_beginning_and_all_bytes_are_a_tensors(
    tmp_path: Path, start: int, told: str
) -> None:
    header = {"w": {"dtype": "U8", "shape": [2], "data_offsets": [start, start + 2]}}
    with pytest.raises(InvalidInput, match=told):
        examine(written(tmp_path / "m", header, bytes(3)), "m")


def test_a_header_may_be_as_long_as_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert safetensors.MAX_HEADER == 100_000_000
    header, data = made({"w": ("U8", [1], b"x")})
    length = len(json.dumps(header))
    monkeypatch.setattr(safetensors, "MAX_HEADER", length)
    assert examine(written(tmp_path / "m", header, data), "m") == []
    monkeypatch.setattr(safetensors, "MAX_HEADER", length - 1)
    with pytest.raises(InvalidInput, match="its header is longer"):
        examine(written(tmp_path / "m", header, data), "m")
