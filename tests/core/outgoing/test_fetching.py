"""Fetches against servers of this machine: traps that must not be reached, redirects, rebinding, slow and large ones."""

from __future__ import annotations

import gc
import socket
import ssl
import threading
from contextlib import ExitStack

import pytest
import trustme

from shoal.core.errors import DeadlineExceeded, InvalidInput, PermissionDenied, TooLarge, Unavailable
from shoal.core.outgoing.fetching import fetch
from shoal.core.outgoing.policy import Allow
from support.web import moved, page, web

PUBLIC = "93.184.216.34"
HERE = Allow(private=True, seconds=5.0)


def elsewhere(port):
    """A `Connect` that finds the whole internet at one port of this machine."""
    return lambda address, _, seconds: socket.create_connection(("127.0.0.1", port), seconds)


def test_an_answer_comes_whole_with_the_name_that_was_asked():
    with web({"/a?b=1": page(b"x" * 100_000, "X-Kind: test\r\n")}) as server:
        answer = fetch(f"http://localhost:{server.port}/a?b=1", HERE)
        assert answer.body == b"x" * 100_000
        assert answer.headers["x-kind"] == "test"
        assert server.asked == [("/a?b=1", f"localhost:{server.port}")]


def test_traps_of_this_machine_are_never_hit():
    """Each form of a loopback address, by itself, by a name, and behind a redirect of a public host."""
    forms = ["127.0.0.1", "localhost", "127.0.0.2", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "[::]",
             "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "017700000001", "localhost.", "LOCALHOST", "①②⑦.0.0.1",
             "127.0.0.1.", "user@127.0.0.1", "example.org@127.0.0.1", "[fe80::1%25lo]", "127.0.0.1%00.example.org"]  # fmt: skip
    with ExitStack() as stack:
        traps = [stack.enter_context(web({}, host)) for host in ("127.0.0.1", "::1")]
        urls = [f"{scheme}://{form}:{trap.port}/" for form in forms for trap in traps for scheme in ("http", "https")]
        pages = {f"/{number}": moved(url) for number, url in enumerate(urls) if url.isascii()}
        public = stack.enter_context(web(pages))

        def connect(address, port, seconds):
            assert str(address) == PUBLIC, "a connection to what was not allowed"
            return socket.create_connection(("127.0.0.1", public.port), seconds)

        taken = 0
        for url in urls:
            taken += _taken(url, connect=connect)
        for path in pages:
            taken += _taken(f"http://public.example{path}", connect=connect, resolve=_resolver)
        for trap in traps:
            for answer in (
                ["127.0.0.1"],
                ["::1"],
                [PUBLIC, "127.0.0.1"],
                ["::ffff:127.0.0.1"],
                ["169.254.169.254"],
                ["x"],
            ):
                taken += _taken(f"http://evil.example:{trap.port}/", connect=connect, resolve=lambda *_, a=answer: a)
        assert public.connections == len(pages)
        assert (taken, [trap.connections for trap in traps]) == (0, [0, 0])


def _resolver(host, port):
    return [PUBLIC] if host == "public.example" else [str(each[4][0]) for each in socket.getaddrinfo(host, port)]


def _taken(url, **how):
    try:
        fetch(url, Allow(seconds=5.0), **how)
    except (InvalidInput, PermissionDenied, Unavailable):
        return 0
    return 1


def test_a_name_that_changes_its_address_is_called_where_it_was_checked():
    """Rebinding: the first look-up is public, each later one is this machine. There is no second one within a hop."""
    asked = []

    def rebinding(host, port):
        asked.append(host)
        return [PUBLIC] if len(asked) == 1 else ["127.0.0.1"]

    with web({"/": page(b"public")}) as public, web({"/": page(b"trap")}) as trap:
        called = []

        def connect(address, port, seconds):
            called.append(str(address))
            return socket.create_connection(("127.0.0.1", public.port), seconds)

        url = f"http://evil.example:{trap.port}/"
        assert fetch(url, Allow(), resolve=rebinding, connect=connect).body == b"public"
        assert (asked, called) == (["evil.example"], [PUBLIC])
        with pytest.raises(PermissionDenied):
            fetch(url, Allow(), resolve=rebinding, connect=connect)
        assert trap.connections == 0


def test_a_redirect_to_the_same_name_is_resolved_and_checked_again():
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    with web({"/": moved("/next"), "/next": page()}) as server:
        with pytest.raises(PermissionDenied):
            fetch("http://evil.example/", Allow(), resolve=lambda *_: next(answers), connect=elsewhere(server.port))
        assert server.asked == [("/", "evil.example")]


def test_redirects_are_followed_so_often_and_within_the_hosts():
    pages = {f"/{number}": moved(f"/{number + 1}") for number in range(4)} | {"/4": page(b"there")}
    with web({**pages, "/away": moved("http://other.example/"), "/file": moved("file:///etc/passwd")}) as server:
        how = {"resolve": lambda *_: [PUBLIC], "connect": elsewhere(server.port)}
        allow = Allow(hosts=("a.example",))
        assert fetch("http://a.example/1", allow, **how).url == "http://a.example/4"
        with pytest.raises(PermissionDenied, match="more than 3 times"):
            fetch("http://a.example/0", allow, **how)
        with pytest.raises(PermissionDenied, match=r"other.example is no host"):
            fetch("http://a.example/away", allow, **how)
        with pytest.raises(InvalidInput):
            fetch("http://a.example/file", allow, **how)


def test_own_ports_are_not_called():
    with web({"/": page()}) as server:
        with pytest.raises(PermissionDenied, match="does not call itself"):
            fetch(f"http://127.0.0.1:{server.port}/", Allow(private=True, own_ports=(server.port,)))
        assert server.connections == 0


def _trickle(path, client):
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        client.sendall(b"x")
        if _stop.wait(0.02):
            return


_stop = threading.Event()


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n"])
def test_a_body_may_come_after_its_head_also_where_the_connection_is_closed_then(head):
    read = threading.Event()

    def slowly(path, client):
        client.sendall(head)
        for part in (b"abc", b"def"):
            read.wait(0.05)
            client.sendall(part)

    with web({"/": slowly}) as server:
        assert fetch(f"http://127.0.0.1:{server.port}/", HERE).body == b"abcdef"


def test_time_is_bounded_for_all_of_it_however_it_trickles():
    with web({"/": _trickle}) as server:
        with pytest.raises(DeadlineExceeded, match=r"within 0.3 seconds"):
            fetch(f"http://127.0.0.1:{server.port}/", Allow(private=True, seconds=0.3))
        assert server.connections == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 200,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc8\r\n" + b"x" * 200 + b"\r\n0\r\n\r\n",
    ],
)
def test_size_is_bounded(raw):
    with web({"/": raw}) as server, pytest.raises(TooLarge, match="more than 100 bytes"):
        fetch(f"http://127.0.0.1:{server.port}/", Allow(private=True, max_bytes=100))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_good_answer_is_unavailable(raw):
    with web({"/": raw}) as server, pytest.raises(Unavailable):
        fetch(f"http://127.0.0.1:{server.port}/", HERE)


def test_nobody_there_is_unavailable():
    with pytest.raises(Unavailable, match="has no address"):
        fetch("http://nowhere.example/", resolve=lambda *_: [])
    with pytest.raises(Unavailable):
        fetch("http://127.0.0.1:1/", HERE)
    gc.collect()  # sockets that were left open would warn here


def test_tls_is_for_the_name_and_never_left():
    authority = trustme.CA()
    good, context = authority.issue_cert("good.example"), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    good.configure_cert(context)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    answers = [page(b"safe"), moved("http://good.example/"), b""]
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            for answer in answers:
                plain, _ = listening.accept()
                try:
                    with context.wrap_socket(plain, server_side=True) as each:
                        each.recv(65536)
                        each.sendall(answer)
                except OSError:
                    plain.close()

        thread = threading.Thread(target=serve)
        thread.start()
        port = listening.getsockname()[1]
        how = {"resolve": lambda *_: [PUBLIC], "connect": elsewhere(port), "context": client}
        assert fetch("https://good.example/", Allow(), **how).body == b"safe"
        with pytest.raises(PermissionDenied, match="from https to http"):
            fetch("https://good.example/", Allow(), **how)
        with pytest.raises(Unavailable, match=r"certificate of https://bad.example is not good"):
            fetch("https://bad.example/", Allow(), **how)
        thread.join()
