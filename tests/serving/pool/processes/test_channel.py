"""The parent's end of a channel, given what no worker of ours would say."""

from __future__ import annotations

import pytest

from shoal.core.ipc import frames, messages
from shoal.serving.pool.processes.channel import Channel
from support.http2_wire import FakeTransport


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc1",
        b"\x91\xa4nope",
        b"\x91\xa5\xffello",
        b"\x92\xa5hello\xa2\xff\xfe",
        messages.encode(messages.Stop()),
    ],
)
def test_what_is_no_message_of_a_worker_ends_the_channel(header: bytes) -> None:
    heard: list[messages.FromWorker] = []
    ends: list[str] = []
    channel = Channel(lambda message, payload: heard.append(message), ends.append)
    channel.connection_made(FakeTransport())  # type: ignore[arg-type]
    hello = messages.encode(messages.Hello(7))
    channel.data_received(frames.prefix(hello, 0) + frames.prefix(header, 0) + frames.prefix(hello, 0))
    channel.connection_lost(None)
    assert heard == [messages.Hello(7)]
    assert ends == ["protocol"]
