"""A corpus of hostile archives: each is refused with its reason, and leaves nothing, inside or outside."""

from __future__ import annotations

import os
import stat
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.control.artifacts.intake import Budget, take_in
from shoal.core.errors import InvalidInput, ShoalError
from support import hostile_archives
from support.hostile_archives import ONNX, Hostile, TarBuilder, ZipBuilder, corpus, named
from support.tools import needs

CORPUS = corpus()
BUDGET = Budget(file_bytes=100_000_000, total_bytes=100_000_000)


def outside(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def test_the_corpus_is_large() -> None:
    assert len({each.label for each in CORPUS}) == len(CORPUS) >= 100


@pytest.mark.parametrize("hostile", CORPUS, ids=[each.label for each in CORPUS])
def test_it_is_refused_and_leaves_nothing(tmp_path: Path, hostile: Hostile) -> None:
    source = tmp_path / hostile.name
    source.write_bytes(hostile.data)
    with pytest.raises(InvalidInput) as caught:
        take_in(source, tmp_path / "work" / "staging", budget=BUDGET, model=False)
    assert hostile.told in str(caught.value), caught.value
    assert caught.value.hint
    assert str(caught.value).isprintable()
    assert outside(tmp_path) == {hostile.name, "work"}


PARTS = st.one_of(
    st.sampled_from(["..", ".", "", "a", "A", "b", "~", "C:", "con", "a\\b", "%2e%2e", "\u2024\u2024", "\0", "\uff0f"]),
    st.text(string.printable, max_size=4),
    st.text(max_size=3),
)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
KINDS = st.sampled_from([b"0", b"\0", b"1", b"2", b"3", b"5", b"6", b"7", b"S", b"x"])


@given(st.lists(st.tuples(NAMES, KINDS, st.binary(max_size=20)), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_nothing_appears_outside_whatever_the_members(
    tmp_path_factory: pytest.TempPathFactory, members: list[tuple[str, bytes, bytes]], pax: bool, as_zip: bool
) -> None:
    root = tmp_path_factory.mktemp("root")
    tar, archive = TarBuilder(), ZipBuilder()
    modes = {b"1": stat.S_IFLNK, b"2": stat.S_IFLNK, b"3": stat.S_IFCHR, b"6": stat.S_IFIFO, b"5": stat.S_IFDIR}
    for name, kind, data in members:
        raw = name.encode("utf-8", "surrogatepass")
        if pax and "\ud800" not in name:
            tar.add("pax", _pax(raw), b"x")
        tar.add(raw, b"" if kind == b"5" else data, kind, link=data)
        archive.add(raw, b"" if kind == b"5" else data, mode=modes.get(kind, stat.S_IFREG) | 0o4777)
    source = root / ("a.zip" if as_zip else "a.tar")
    source.write_bytes(archive.end() if as_zip else tar.end())
    staging = root / "work" / "staging"
    try:
        taken = take_in(source, staging, model=False)
    except InvalidInput:
        assert outside(root) == {source.name, "work"}
        return
    assert {path for path in outside(root) if not path.startswith("work")} == {source.name}
    for path in staging.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISDIR(mode) or (stat.S_ISREG(mode) and not mode & 0o7111)
    assert {entry.path for entry in taken.manifest.files} == {
        str(path.relative_to(taken.folder)) for path in taken.folder.rglob("*") if path.is_file()
    }


def _pax(raw: bytes) -> bytes:
    body = b" path=" + raw + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


@given(st.data())
def test_any_damage_is_refused_or_harmless(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes changed, cut or inserted anywhere: the files are right, or the archive is refused in words."""
    root = tmp_path_factory.mktemp("root")
    name, good = data.draw(st.sampled_from(list(named(["a.onnx", "dir/b.onnx"]))))
    broken = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(broken) - 1))
        how = data.draw(st.sampled_from(["change", "cut", "insert", "remove"]))
        if how == "change":
            broken[at] = data.draw(st.integers(0, 255))
        elif how == "cut":
            del broken[at + 1 :]
        elif how == "insert":
            broken[at:at] = data.draw(st.binary(min_size=1, max_size=4))
        elif len(broken) > 1:
            del broken[at]
    source = root / name
    source.write_bytes(bytes(broken))
    try:
        taken = take_in(source, root / "staging", model=False)
    except ShoalError:
        assert outside(root) == {name}
        return
    for entry in taken.manifest.files:
        content = (taken.folder / entry.path).read_bytes()
        assert content == ONNX or name.endswith(".tar"), "only plain tar has no checksum of its content"


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (Budget(entries=2), "more than 2 files"),
        (Budget(file_bytes=50), "more than 50 bytes"),
        (Budget(total_bytes=150), "more than 150 bytes in all"),
    ],
)
@pytest.mark.parametrize("number", [0, 1, 2])
def test_budgets_are_kept(tmp_path: Path, budget: Budget, told: str, number: int) -> None:
    name, data = list(named(["a.onnx", "b.onnx", "c.onnx"]))[number]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match=told):
        take_in(tmp_path / name, tmp_path / "staging", budget=budget, model=False)
    assert os.listdir(tmp_path) == [name]


def test_a_bomb_costs_little_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shoal.control.artifacts.intake import staging

    written = 0
    write = staging.write_all

    def counted(descriptor: int, data: bytes) -> None:
        nonlocal written
        written += len(data)
        write(descriptor, data)

    monkeypatch.setattr(staging, "write_all", counted)
    for hostile in CORPUS:
        if "bomb" in hostile.label:
            written = 0
            (tmp_path / hostile.name).write_bytes(hostile.data)
            with pytest.raises(InvalidInput):
                take_in(tmp_path / hostile.name, tmp_path / "staging", model=False)
            assert written <= 1024 * 1024 + 100 * len(hostile.data)


CHILD = """
import sys
from pathlib import Path
from shoal.control.artifacts.intake import take_in
from shoal.core.errors import InvalidInput
from support.hostile_archives import corpus
root = Path(sys.argv[1])
for number, hostile in enumerate(corpus()):
    source = root / f"{number}-{hostile.name}"
    source.write_bytes(hostile.data)
    try:
        take_in(source, root / f"staging-{number}", name=hostile.name, model=False)
    except InvalidInput:
        continue
    raise SystemExit(hostile.label)
"""


@pytest.mark.process
def test_the_system_is_asked_for_no_file_outside(tmp_path: Path) -> None:
    """All of the corpus in one process, its system calls recorded: nothing is made, and no bait read, elsewhere."""
    trace, root = tmp_path / "trace", tmp_path / "root"
    root.mkdir()
    calls = "trace=openat,open,creat,mkdir,mkdirat,link,linkat,symlink,symlinkat,mknod,mknodat,rename,renameat2"
    command = [
        needs("strace"),
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        str(trace),
        "-e",
        calls,
        sys.executable,
        "-B",
        "-c",
        CHILD,
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(hostile_archives.__file__).parents[1])}
    done = subprocess.run([*command, str(root)], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    lines = trace.read_text().splitlines()
    assert not [line for line in lines if "passwd" in line or "shadow" in line]
    changing = [line for line in lines if "O_CREAT" in line or "O_WRONLY" in line or " mk" in line or "link" in line]
    assert len(changing) > len(CORPUS)
    assert not [line for line in changing if f'"{root}/' not in line]
