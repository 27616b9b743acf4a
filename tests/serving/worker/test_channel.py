"""The worker's end of the socket: any fragmentation, large payloads, buffers that are still looked at."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.core.ipc import frames
from shoal.serving.worker.channel import READ, Channel, Closed

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.settimeout(10)
        yield ours, theirs


def frame(header: bytes, payload: bytes) -> bytes:
    return frames.prefix(header, len(payload)) + payload


sizes = st.sampled_from([0, 1, 100, READ - 20, READ, READ + 1, 3 * READ])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 30), sizes), min_size=1, max_size=5), st.integers(1, 2 * READ))
def test_frames_survive_any_fragmentation(shape: list[tuple[int, int]], cut: int) -> None:
    cut = max(cut, sum(size for _, size in shape) // 50)
    sent = [(bytes([at]) * header, bytes([at + 1]) * size) for at, (header, size) in enumerate(shape)]
    stream = b"".join(frame(*each) for each in sent)
    ours, theirs = socket.socketpair()
    with ours, theirs:

        def write() -> None:
            for at in range(0, len(stream), cut):
                theirs.sendall(stream[at : at + cut])
            theirs.shutdown(socket.SHUT_WR)

        writer = threading.Thread(target=write)
        writer.start()
        channel = Channel(ours)
        got = []
        for _ in sent:
            header, payload = channel.read()
            got.append((header, bytes(payload)))
        with pytest.raises(Closed):
            channel.read()
        writer.join()
    assert got == sent


def test_a_buffer_that_someone_looks_at_is_not_used_again(ends: Ends) -> None:
    ours, theirs = ends
    channel = Channel(ours)
    kept = []
    for fill in (1, 2, 3):
        writer = threading.Thread(target=theirs.sendall, args=(frame(b"", bytes([fill]) * 200_000),))
        writer.start()
        _, payload = channel.read()
        writer.join()
        if fill == 1:
            kept.append(payload)
    assert bytes(kept[0]) == b"\x01" * 200_000
    assert bytes(payload) == b"\x03" * 200_000


def test_many_parts_are_sent_in_order(ends: Ends) -> None:
    ours, theirs = ends
    parts = [bytes([at % 256]) * (at % 700) for at in range(2000)]
    writer = threading.Thread(target=Channel(ours).write, args=(b"head", parts))
    writer.start()
    header, payload = Channel(theirs).read()
    writer.join()
    assert (header, bytes(payload)) == (b"head", b"".join(parts))


def test_the_end_of_the_parent(ends: Ends) -> None:
    ours, theirs = ends
    theirs.close()
    channel = Channel(ours)
    with pytest.raises(Closed):
        channel.read()
    with pytest.raises(Closed):
        channel.write(b"x", [b"y" * 100_000])
    with pytest.raises(Closed):
        channel.write(b"x", [])


def test_a_peer_that_does_not_speak_frames(ends: Ends) -> None:
    ours, theirs = ends
    theirs.sendall(b"\xff" * 8)
    with pytest.raises(frames.BrokenFrame):
        Channel(ours).read()
