from __future__ import annotations

import contextlib
import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.call import Format
from shoal.core.errors import ErrorRecord
from shoal.core.ipc import frames
from shoal.serving.hop import messages
from shoal.serving.hop.messages import Answer, Ask, Cancel, Fail, Hello, Ping, Pong, State, Submit, Told, Welcome

NUMBER = st.integers(0, 2**53)
TEXT = st.text(max_size=40)
ERROR = st.builds(ErrorRecord, TEXT, TEXT, TEXT, TEXT, st.none() | st.floats(0, 100))
TO_PROXY = st.one_of(
    st.builds(Hello, st.integers(0, 1000), TEXT),
    st.builds(
        Submit,
        NUMBER,
        TEXT,
        TEXT,
        st.sampled_from(Format),
        st.integers(-1, 2**40),
        st.integers(1, 2**40),
        st.integers(0, 3),
        TEXT,
        st.floats(-1e6, 1e6),
        st.integers(0, 1),
    ),
    st.builds(Cancel, NUMBER),
    st.builds(Ask, NUMBER, st.sampled_from(["describe", "refresh", "list", "load"]), TEXT, TEXT, NUMBER),
    st.just(Ping()),
)
FROM_PROXY = st.one_of(
    st.builds(Welcome, st.integers(0, 1000), TEXT, TEXT),
    st.builds(Answer, NUMBER, st.integers(-1, 2**40)),
    st.builds(Fail, NUMBER, ERROR, st.booleans()),
    st.builds(Told, NUMBER, st.none() | ERROR),
    st.builds(State, st.booleans(), st.booleans(), st.integers(0, 2**40), st.integers(0, 2**40)),
    st.just(Pong()),
)


def stream(said: list[tuple[msgspec.Struct, bytes]]) -> bytes:
    return b"".join(frames.prefix(messages.encode(message), len(body)) + body for message, body in said)


def heard(data: bytes, cuts: list[int], decode: object) -> list[tuple[msgspec.Struct, bytes]]:
    reader = frames.FrameReader()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [
        (decode(header), bytes(payload))  # type: ignore[operator]
        for start, end in itertools.pairwise(places)
        for header, payload in reader.feed(data[start:end])
    ]


CUTS = st.lists(st.integers(0, 100_000), max_size=10)


@given(st.lists(st.tuples(TO_PROXY, st.binary(max_size=300)), max_size=8), CUTS)
def test_what_a_gateway_says_arrives_however_it_is_cut(
    said: list[tuple[msgspec.Struct, bytes]], cuts: list[int]
) -> None:
    assert heard(stream(said), cuts, messages.decode_to_proxy) == said


@given(st.lists(st.tuples(FROM_PROXY, st.binary(max_size=300)), max_size=8), CUTS)
def test_what_a_proxy_says_arrives_however_it_is_cut(said: list[tuple[msgspec.Struct, bytes]], cuts: list[int]) -> None:
    assert heard(stream(said), cuts, messages.decode_from_proxy) == said


@given(st.binary(max_size=200))
def test_what_is_no_message_is_no_message(data: bytes) -> None:
    for decode in (messages.decode_to_proxy, messages.decode_from_proxy):
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            decode(data)


SUBMIT = ["s", 1, "m", "", 1, -1, 1, 1, "", 5.0, 0]


@pytest.mark.parametrize(
    ("at", "value"), [(1, -1), (4, 9), (6, -5), (7, -1), (7, 256), (9, float("nan")), (9, float("inf")), (2, 5)]
)
def test_a_request_that_cannot_be_is_none(at: int, value: object) -> None:
    fields = [*SUBMIT]
    messages.decode_to_proxy(msgspec.msgpack.encode(fields))
    fields[at] = value
    with pytest.raises(msgspec.ValidationError):
        messages.decode_to_proxy(msgspec.msgpack.encode(fields))


def test_newer_ends_may_add_fields() -> None:
    assert messages.decode_to_proxy(msgspec.msgpack.encode([*SUBMIT, "new"])) == messages.decode_to_proxy(
        msgspec.msgpack.encode(SUBMIT)
    )


def test_ends_of_different_versions_are_told_so() -> None:
    assert "version 7" in messages.version_error(7, "the gateway")
    assert "same release" in messages.version_error(7, "the gateway")
