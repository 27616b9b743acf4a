"""Names: what passes is plain, and nothing that passes can be read as a path to elsewhere."""

from __future__ import annotations

import os.path
import unicodedata
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake.names import MAX_NAME_BYTES, MAX_PATH_BYTES, Names, parse, refuse
from shoal.core.errors import InvalidInput

ODD = st.text(st.sampled_from("ab./\\%2eEfF :~\0\n\u2024\uff0e\uff0f\u0130\u00df\u202e"), max_size=12)


@given(st.one_of(ODD, st.text(max_size=12), st.lists(ODD, max_size=4).map("/".join)))
def test_what_passes_stays_below_its_root(path: str) -> None:
    try:
        parts = parse(path)
    except InvalidInput:
        return
    for part in parts:
        assert part not in ("", ".", "..")
        assert not any(char in part for char in "/\\\0\n\u202e")
        read = unquote(unicodedata.normalize("NFKC", unquote(part)))
        assert read not in (".", "..")
        assert "/" not in read
        assert "\\" not in read
    joined = os.path.normpath(os.path.join("/root", *parts))
    assert joined == "/root" if not parts else joined.startswith("/root/")


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a", ("a",)),
        ("./a/b", ("a", "b")),
        ("././a/", ("a",)),
        ("./", ()),
        (".", ()),
        ("a/b/", ("a", "b")),
        ("...", ("...",)),
        ("a..b", ("a..b",)),
        (".hidden", (".hidden",)),
        ("modèle/ü.onnx", ("modèle", "ü.onnx")),
        ("100%", ("100%",)),
        ("a b (1).txt", ("a b (1).txt",)),
        ("日本語/模型.onnx", ("日本語", "模型.onnx")),
        ("ab:c", ("ab:c",)),
    ],
)
def test_ordinary_names_pass(path: str, parts: tuple[str, ...]) -> None:
    assert parse(path) == parts


@given(
    st.lists(st.lists(st.sampled_from(["a", "A", "b", "é", "e\u0301"]), min_size=1, max_size=3).map(tuple), max_size=8)
)
def test_names_that_pass_together_are_apart_on_every_system(paths: list[tuple[str, ...]]) -> None:
    names = Names()
    files: set[tuple[str, ...]] = set()
    for parts in paths:
        try:
            names.add_file(parts)
        except InvalidInput:
            continue
        files.add(parts)

    def folded(parts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(unicodedata.normalize("NFC", part).casefold() for part in parts)

    every = {parts[:depth] for parts in files for depth in range(1, len(parts) + 1)}
    assert len({folded(parts) for parts in every}) == len(every)
    assert not files & {parts[:depth] for parts in files for depth in range(1, len(parts))}


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("n" * MAX_NAME_BYTES, True),
        ("n" * (MAX_NAME_BYTES + 1), False),
        ("é" * (MAX_NAME_BYTES // 2), True),
        ("é" * (MAX_NAME_BYTES // 2 + 1), False),
        ("/".join(["d" * 204] * 5), True),
        ("/".join([*["d" * 204] * 4, "d" * 205]), False),
        ("é/" * 341 + "a", True),
        ("é/" * 341 + "aé", False),
    ],
)
def test_names_and_paths_have_bounds_in_bytes_that_they_may_reach(path: str, passes: bool) -> None:
    assert (MAX_NAME_BYTES, MAX_PATH_BYTES) == (255, 1024)
    if passes:
        assert "/".join(parse(path)) == path
    else:
        with pytest.raises(InvalidInput, match="longer than"):
            parse(path)


@pytest.mark.parametrize("length", [120, 121, 300])
def test_a_long_name_is_told_in_short(length: int) -> None:
    error = refuse("n" * length, "is wrong")
    shown = "n" * length if length <= 120 else "n" * 117 + "..."
    assert str(error) == f"'{shown}' is wrong"
    assert error.field == "n" * min(length, 200)
    assert (error.hint, refuse("n", "is wrong", "do this").hint) == ("rename it, and pack again", "do this")


def add(names: Names, path: str) -> None:
    parts = parse(path)
    if path.endswith("/") and path != "./":
        names.add_folder(parts)
    else:
        names.add_file(parts)


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["a/b", "A/c"], "'A' clashes with 'a'"),
        (["a/b/c", "a/B/d"], "'a/B' clashes with 'a/b'"),
        (["a", "a/"], "'a' is both a file and a folder"),
        (["a/", "a"], "'a' is both a file and a folder"),
        (["a/b", "a/b"], "'a/b' is there twice"),
        (["./"], "'./' is the root itself, and no file"),
    ],
)
def test_each_clash_is_told_for_what_it_is(paths: list[str], told: str) -> None:
    names = Names()
    for path in paths[:-1]:
        add(names, path)
    with pytest.raises(InvalidInput) as caught:
        add(names, paths[-1])
    assert str(caught.value) == told


def test_a_folder_may_be_there_twice() -> None:
    names = Names()
    for _ in range(2):
        names.add_folder(("a", "b"))
    names.add_file(("a", "b", "c"))
    names.add_folder(())
