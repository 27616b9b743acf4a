"""What the link to control does when answers are lost, late, broken or refused."""

from __future__ import annotations

import io
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from shoal.client.control_link import ControlLink, Upload, segment
from shoal.core.catalogue import Digests, Health
from shoal.core.errors import InternalError, NotFound, Overloaded, StorageFull, Unavailable

Talk = Callable[[socket.socket, bytes], None]
Linking = Callable[..., ControlLink]
OK = b'HTTP/1.1 200 OK\r\ncontent-length: 16\r\n\r\n{"state":"live"}'
BUSY = b'HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 36\r\n\r\n{"error":"full","code":"overloaded"}'


@contextmanager
def scripted(*talks: Talk) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers one connection after the other as told; its URL, and the heads that it got."""
    heads: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        for talk in talks:
            connection, _ = listening.accept()
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
                    head += data
                heads.append(head)
                talk(connection, head)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", heads
    finally:
        thread.join(10)
        listening.close()


def says(answer: bytes) -> Talk:
    return lambda connection, head: connection.sendall(answer)


def hangs_up(connection: socket.socket, head: bytes) -> None:
    """The answer is lost."""


@pytest.fixture
def link() -> Iterator[Linking]:
    made: list[ControlLink] = []

    def make(url: str, waits: list[float] | None = None) -> ControlLink:
        sleep = (waits if waits is not None else []).append
        made.append(ControlLink(url, sleep=sleep, rng=random.Random(1), timeout=5.0))
        return made[-1]

    yield make
    for each in made:
        each.close()


def key_of(head: bytes) -> bytes:
    return next(line for line in head.lower().split(b"\r\n") if line.startswith(b"idempotency-key"))


def test_a_lost_answer_is_asked_for_again_with_the_same_key(link: Linking) -> None:
    with scripted(hangs_up, hangs_up, says(OK)) as (url, heads):
        assert link(url).call("POST", "/x", Health, body=Digests(())).state == "live"
    assert len({key_of(head) for head in heads}) == 1


def test_each_request_has_a_key_of_its_own_and_reads_have_none(link: Linking) -> None:
    with scripted(says(OK), says(OK), says(OK)) as (url, heads):
        for method in ("POST", "DELETE", "GET"):
            made = link(url)
            made.call(method, "/x", Health)
            made.close()
    assert key_of(heads[0]) != key_of(heads[1])
    assert b"idempotency-key" not in heads[2].lower()


def test_who_sheds_is_given_the_time_that_he_asks_for(link: Linking) -> None:
    waits: list[float] = []
    with scripted(says(BUSY), says(OK)) as (url, _):
        link(url, waits).call("GET", "/x", Health)
    assert waits
    assert waits[0] >= 1.0


def test_it_gives_up_after_some_attempts(link: Linking) -> None:
    waits: list[float] = []
    with scripted(*[says(BUSY)] * 5) as (url, _), pytest.raises(Overloaded, match="full"):
        link(url, waits).call("GET", "/x", Health)
    assert len(waits) == 4


def test_nobody_there_is_told_with_what_to_do(link: Linking) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unavailable, match="does not answer") as error:
        link(f"http://127.0.0.1:{port}").call("GET", "/x", Health)
    assert "shoal control" in error.value.hint


def test_refusals_are_not_tried_again(link: Linking) -> None:
    body = b'{"error":"no such model","code":"not_found","hint":"look","field":"name","request_id":"r"}'
    answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with scripted(says(answer)) as (url, _), pytest.raises(NotFound, match="no such model") as error:
        link(url).call("GET", "/x", Health)
    assert (error.value.hint, error.value.field, error.value.request_id) == ("look", "name", "r")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"state":"other"}', b"\xff"])
def test_who_is_no_control_is_told(link: Linking, body: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with scripted(says(answer)) as (url, _), pytest.raises(InternalError, match="is no control"):
        link(url).call("GET", "/x", Health)


def test_redirects_are_not_followed(link: Linking) -> None:
    answer = b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
    with scripted(says(answer)) as (url, heads), pytest.raises(InternalError):
        link(url).call("GET", "/x", Health)
    assert len(heads) == 1


@pytest.mark.parametrize("kept", [len(OK) - 16, len(OK) - 1], ids=["after its head", "before its last byte"])
def test_an_answer_that_breaks_off_is_asked_for_again(link: Linking, kept: int) -> None:
    with scripted(says(OK[:kept]), says(OK)) as (url, heads):
        assert link(url).call("POST", "/x", Health, body=Digests(())).state == "live"
    assert len({key_of(head) for head in heads}) == 1


@pytest.mark.parametrize(
    ("half", "rest"),
    [
        (b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", b"1\r\n!\r\n0\r\n\r\n"),
        (b"content-length: 6\r\n\r\nhello", b"!"),
    ],
    ids=["in chunks", "of a known length"],
)
def test_a_download_that_breaks_off_begins_again(link: Linking, half: bytes, rest: bytes) -> None:
    half = b"HTTP/1.1 200 OK\r\n" + half
    whole = half + rest
    target = io.BytesIO()
    with scripted(says(half), says(whole)) as (url, _):
        link(url).fetch("/x", target)
    assert target.getvalue() == b"hello!"


def test_an_error_of_the_readers_file_is_not_taken_for_the_servers(link: Linking) -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    with scripted(says(answer)) as (url, heads), pytest.raises(OSError, match="No space"):
        link(url).fetch("/x", Full())
    assert len(heads) == 1


def test_an_upload_that_is_refused_early_tells_why(link: Linking) -> None:
    def refuse(connection: socket.socket, head: bytes) -> None:
        connection.sendall(
            b'HTTP/1.1 507 Full\r\ncontent-length: 38\r\nconnection: close\r\n\r\n{"error":"full","code":"storage_full"}'
        )
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    content = b"x" * 8_000_000
    with scripted(refuse) as (url, _), pytest.raises(StorageFull):
        link(url).do("PUT", "/x", body=Upload(file=io.BytesIO(content), size=len(content)))


@pytest.mark.parametrize(
    ("text", "path"),
    [("iris", "iris"), ("iris+staging@a", "iris+staging@a"), ("../x", "..%2Fx"), ("a b?#", "a%20b%3F%23")],
)
def test_names_stay_one_part_of_a_path(text: str, path: str) -> None:
    assert segment(text) == path
