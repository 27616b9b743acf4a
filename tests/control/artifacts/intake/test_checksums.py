"""Lists of checksums: what sha256sum writes is read, all else is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake import checksums
from shoal.control.artifacts.intake.checksums import parse_checksums, verify
from shoal.core.errors import CorruptArtifact, InvalidInput
from shoal.core.registry import FileEntry
from shoal.testing.stores import name_of
from support.tools import needs

PATHS = st.sampled_from(["a", "b/c", "b/d", "e f", "ü"])


@given(
    st.dictionaries(PATHS, st.binary(max_size=3)),
    st.dictionaries(PATHS, st.binary(max_size=3)),
    st.sampled_from([" ", "*"]),
    st.booleans(),
)
def test_files_pass_only_with_exactly_their_checksums(
    files: dict[str, bytes], listed: dict[str, bytes], mark: str, windows: bool
) -> None:
    ending = "\r\n" if windows else "\n"
    text = "".join(f"{name_of(data).upper()} {mark}./{path}{ending}" for path, data in listed.items())
    expected = parse_checksums(text.encode())
    assert expected == {path: name_of(data) for path, data in listed.items()}
    entries = [FileEntry(path, len(data), name_of(data)) for path, data in files.items()]
    if files == listed:
        verify(entries, expected)
    else:
        with pytest.raises((InvalidInput, CorruptArtifact)):
            verify(entries, expected)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_list_or_refused(data: bytes) -> None:
    try:
        parse_checksums(data)
    except InvalidInput:
        return


def test_what_sha256sum_writes_is_read(tmp_path: Path) -> None:
    (tmp_path / "a b.onnx").write_bytes(b"data")
    for option in ("--text", "--binary"):
        done = subprocess.run([needs("sha256sum"), option, "a b.onnx"], cwd=tmp_path, capture_output=True, check=True)
        assert parse_checksums(done.stdout) == {"a b.onnx": name_of(b"data")}


def test_a_list_has_a_bound_that_it_may_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checksums.MAX_BYTES == 16 * 2**20
    monkeypatch.setattr(checksums, "MAX_BYTES", 10)
    assert parse_checksums(b"\n" * 10) == {}
    with pytest.raises(InvalidInput, match="too long"):
        parse_checksums(b"\n" * 11)


def test_a_line_that_is_none_is_named_by_its_number() -> None:
    good = f"{name_of(b'')}  a\n".encode()
    with pytest.raises(InvalidInput, match="line 3 of SHA256SUMS is no checksum"):
        parse_checksums(good + b"\n" + b"what\n")


def test_digests_are_compared_whatever_their_case() -> None:
    entry = FileEntry("a", 1, name_of(b"1"))
    verify([entry], {"a": name_of(b"1").upper()})
    with pytest.raises(CorruptArtifact):
        verify([entry], {"a": name_of(b"2")})
    with pytest.raises(InvalidInput, match="'b' has a checksum, and is not there"):
        verify([entry], {"c": name_of(b"1"), "a": name_of(b"1"), "b": name_of(b"1")})
