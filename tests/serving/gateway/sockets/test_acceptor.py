"""The accept loop when the system has no file descriptor or no memory left."""

from __future__ import annotations

import asyncio
import errno
import os
import socket

import pytest

from shoal.serving.gateway.sockets.acceptor import PER_TURN, Acceptor


class Scripted(socket.socket):
    """A listening socket whose `accept` fails as scripted before it works; `attempts` counts the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.bind(("127.0.0.1", 0))
        self.listen(2048)
        self.setblocking(False)
        self.script: list[int] = []
        self.attempts = 0

    def accept(self):
        self.attempts += 1
        if self.script:
            number = self.script.pop(0)
            raise OSError(number, os.strerror(number))
        return super().accept()


async def serve(script: list[int], clients: int, seconds: float) -> tuple[Scripted, int, int]:
    """Connect clients, run for a while; the socket, how many were accepted, and how many turned away."""
    listening = Scripted()
    listening.script = script
    accepted: list[socket.socket] = []
    turned_away: list[socket.socket] = []

    def turn_away(client: socket.socket) -> None:
        turned_away.append(client)
        client.close()

    acceptor = Acceptor(listening, on_accept=accepted.append, on_exhausted=turn_away)
    acceptor.start()
    connected = [socket.create_connection(listening.getsockname()) for _ in range(clients)]
    await asyncio.sleep(seconds)
    attempts = listening.attempts
    acceptor.stop()
    listening.attempts = attempts
    for client in (*accepted, *connected):
        client.close()
    return listening, len(accepted), len(turned_away)


def test_a_burst_larger_than_one_turn_is_taken():
    _, accepted, _ = asyncio.run(serve([], PER_TURN + 50, 0.05))
    assert accepted == PER_TURN + 50


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_without_a_descriptor_the_reserve_takes_the_client(number):
    _, accepted, turned_away = asyncio.run(serve([number], 3, 0.05))
    assert (accepted, turned_away) == (2, 1)


@pytest.mark.parametrize("script", [[errno.EMFILE] * 2, [errno.ENOBUFS], [errno.ENOMEM]])
def test_if_nothing_helps_accepting_pauses_and_comes_back(script):
    listening, accepted, _ = asyncio.run(serve(list(script), 3, 0.3))
    assert accepted == 3
    assert listening.attempts < 20  # no busy loop


def test_a_connection_that_broke_in_the_queue_costs_nobody_anything():
    _, accepted, _ = asyncio.run(serve([errno.ECONNABORTED, errno.EPROTO], 3, 0.05))
    assert accepted == 3


def test_stopping_while_paused_takes_whoever_waits():
    _, accepted, _ = asyncio.run(serve([errno.ENOMEM], 3, 0.01))
    assert accepted == 3
