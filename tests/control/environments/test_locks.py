"""Locks: what is understood, what is refused and how, and what an environment's name depends on."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.control.environments.locks import Lock, Pin, Target, environment_digest, normal_name, parse_lock
from shoal.core.errors import ConfigError

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TARGET = Target(python="cpython-3.11", platform="linux-x86_64", shoal="0.1.0", needs=("numpy==2.1.3",))


def test_comments_extras_markers_hashes_and_continued_lines_are_read() -> None:
    text = (
        f"# made by a tool\nNumPy==2.1.3 \\\n    --hash={B} \\\n    --hash {A}  # via churn\r\n"
        f"httpx[http2, Brotli] == 0.28.1 ; python_version >= '3.11' --hash={A}\n"
    )

    assert parse_lock(text).pins == (
        Pin("httpx", "0.28.1", ("brotli", "http2"), "python_version >= '3.11'", (A,)),
        Pin("numpy", "2.1.3", hashes=(A, B)),
    )


def test_one_name_may_have_a_version_per_marker() -> None:
    lock = parse_lock("numpy==1.26.4 ; python_version < '3.12'\nnumpy==2.1.3 ; python_version >= '3.12'\n")

    assert [each.version for each in lock.pins] == ["1.26.4", "2.1.3"]


def test_an_empty_lock_is_a_lock() -> None:
    assert parse_lock("\n# nothing\n") == Lock()


@pytest.mark.parametrize(
    ("line", "told", "hint"),
    [
        ("numpy", "numpy has no version", "write numpy==VERSION"),
        ("numpy>=2", "numpy asks for '>=2', not for one exact version", "write numpy==VERSION"),
        ("numpy==2.1,<3", "numpy asks for '==2.1,<3'", "write numpy==VERSION"),
        ("numpy===2.1", "numpy asks for '===2.1'", "write numpy==VERSION"),
        ("numpy==2.*", "numpy is pinned to a range, ==2.*", "name one version"),
        ("numpy @ https://host/numpy.whl", "is not name==version", "publish a wheel"),
        ("https://host/numpy==2.whl", "is not name==version", "publish a wheel"),
        ("git+https://host/repository", "is not name==version", "publish a wheel"),
        ("./wheels/numpy.whl", "is not name==version", "publish a wheel"),
        ("../numpy==2", "is not name==version", "publish a wheel"),
        ("numpy==$VERSION", "numpy asks for '==$VERSION'", "write numpy==VERSION"),
        ("numpy[==2", "numpy asks for '[==2'", "write numpy==VERSION"),
        ("numpy[a/b]==2", "the extras of numpy cannot be read", "httpx[http2]==0.28.1"),
        ("numpy==2 ;", "the marker '' cannot be read", "python_version"),
        ("numpy==2 ; `x`", "the marker '`x`' cannot be read", "python_version"),
        ("-r other.txt", "-r is not read in a lock", "put its lines here"),
        ("--requirement=other.txt", "--requirement is not read", "put its lines here"),
        ("-c other.txt", "-c is not read", "write the versions themselves"),
        ("-e .", "-e is not read", "build a wheel"),
        ("--index-url https://host", "--index-url is not read", "pip's own configuration"),
        ("--extra-index-url=https://host", "--extra-index-url is not read", "pip's own configuration"),
        ("--find-links=wheels", "--find-links is not read", "pip's own configuration"),
        ("--pre", "--pre is not read", "name==version lines only"),
        ("numpy==2 --pre", "the option '--pre' is not read", "only --hash=sha256:"),
        ("numpy==2 -r other.txt", "the option '-r other.txt' is not read", "only --hash=sha256:"),
        ("numpy==2 --hash=md5:abc", "'md5:abc' is no hash that is read here", "sha256:"),
    ],
)
def test_what_is_not_exact_is_refused_with_its_line_and_what_to_write(line: str, told: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_lock(f"# first\nscipy==1.14.1\n{line}\n", "requirements.txt")

    assert caught.value.message.startswith("requirements.txt:3: ")
    assert told in caught.value.message
    assert hint in caught.value.hint


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_lock("numpy\nscipy==1\nSciPy==1\n-e .\n")

    assert [line.split(" ")[0] for line in caught.value.message.splitlines()] == [
        "requirements.lock:1:",
        "requirements.lock:3:",
        "requirements.lock:4:",
    ]
    assert "scipy is there twice, first in line 2" in caught.value.message


def test_hashes_are_for_all_or_for_none() -> None:
    with pytest.raises(ConfigError, match=r"requirements\.lock:2: scipy has no --hash, others have"):
        parse_lock(f"numpy==2.1.3 --hash={A}\nscipy==1.14.1\n")


def test_a_comment_ends_a_continued_line_as_it_does_for_pip() -> None:
    with pytest.raises(ConfigError, match=r"requirements\.lock:3"):
        parse_lock(f"numpy==2 \\\n# a comment\n--hash={A}\n")


names = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,6}([._-][a-z0-9]{1,4})?", fullmatch=True)
versions = st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}((a|rc)[0-9])?(\+cpu)?", fullmatch=True)
markers = st.sampled_from(["", "python_version >= '3.11'", 'sys_platform == "linux" and extra == "x"'])
hashes = st.lists(st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True), min_size=1, max_size=3, unique=True)


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    hashed = draw(st.booleans())
    drawn = draw(st.lists(st.tuples(names, versions, markers, hashes), max_size=6))
    pins = {
        (normal_name(name), marker): Pin(normal_name(name), version, (), marker, tuple(sorted(given)) if hashed else ())
        for name, version, marker, given in drawn
    }
    return Lock(tuple(sorted(pins.values())))


@settings(max_examples=40)
@given(locks())
def test_the_canonical_text_reads_as_the_same_lock(lock: Lock) -> None:
    assert parse_lock(lock.text) == lock


@settings(max_examples=40)
@given(locks(), st.randoms(use_true_random=False))
def test_order_case_spaces_comments_and_line_breaks_do_not_count(lock: Lock, chance: object) -> None:
    lines = []
    for pin in lock.pins:
        given_hashes = [f"--hash={each}" for each in pin.hashes]
        chance.shuffle(given_hashes)  # type: ignore[attr-defined]
        marker = f";{pin.marker}" if pin.marker else ""
        head = f"  {pin.name.upper().replace('-', '_')} == {pin.version} {marker}"
        lines.append(" \\\n   ".join([head, *given_hashes]) + "   # a note")
    chance.shuffle(lines)  # type: ignore[attr-defined]

    assert parse_lock("\n\n# more\n".join(lines)) == lock


@settings(max_examples=150)
@given(st.text(alphabet="ab=1.;#\\ \n-\t[]@/:<>~!'\"$,\0é", max_size=60))
def test_any_text_is_a_lock_or_a_complaint(text: str) -> None:
    with contextlib.suppress(ConfigError):
        lock = parse_lock(text)
        assert parse_lock(lock.text) == lock
        assert all(line.split("==")[0].replace("-", "").isalnum() for line in lock.lines)


@settings(max_examples=40)
@given(locks())
def test_the_name_of_an_environment_depends_on_everything_that_goes_into_it(lock: Lock) -> None:
    name = environment_digest(lock, TARGET)
    more = Lock(tuple(sorted([*lock.pins, Pin("zz-more", "1")])))
    others = [environment_digest(more, TARGET)]
    others += [
        environment_digest(lock, msgspec.structs.replace(TARGET, **{field: value}))
        for field, value in {"python": "x", "platform": "x", "shoal": "x", "needs": ()}.items()
    ]

    assert environment_digest(parse_lock(lock.text), TARGET) == name
    assert len({name, *others}) == 6
    assert len(name) == 64
