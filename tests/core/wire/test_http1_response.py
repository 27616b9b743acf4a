"""The HTTP/1.1 response serialiser, read back by llhttp's response parser."""

from __future__ import annotations

import calendar
import email.utils

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.wire.http1.response import date_line, has_body, response_head


class Reader:
    """What a client reads."""

    def __init__(self, raw: bytes) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = b""
        self.complete = False
        self.keep_alive = False
        self._parser = httptools.HttpResponseParser(self)
        self._parser.feed_data(raw)
        self.status = self._parser.get_status_code()

    def on_headers_complete(self) -> None:
        self.keep_alive = self._parser.should_keep_alive()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True


names = st.text("abcdefghijkl-", min_size=1, max_size=8).map(lambda text: b"x-" + text.encode())


@given(
    status=st.sampled_from([200, 201, 400, 404, 413, 431, 499, 500, 503, 599]),
    body=st.binary(max_size=200),
    headers=st.lists(st.tuples(names, st.binary(max_size=20)), max_size=4),
    content_type=st.binary(max_size=20),
    close=st.booleans(),
)
def test_whatever_is_answered_is_one_response(status, body, headers, content_type, close):
    head = response_head(
        status, len(body), content_type=content_type, second=0, headers=headers, close=close, old=False
    )
    reader = Reader(head + body)
    assert reader.complete
    assert (reader.status, reader.body, reader.keep_alive) == (status, body, not close)
    sent = [name for name, _ in reader.headers]
    assert sent.count(b"content-length") == 1
    assert [name for name in sent if name.startswith(b"x-")] == [name for name, _ in headers]


def test_values_cannot_split_a_response():
    head = response_head(
        200, 0, content_type=b"text/html\r\nx-evil: 1", second=0, headers=((b"x-id", b"a\r\n\r\n<script>\x00\n"),)
    )
    reader = Reader(head)
    assert dict(reader.headers)[b"x-id"] == b"a    <script>"
    assert b"x-evil" not in dict(reader.headers)
    assert head.count(b"\r\n\r\n") == 1


@pytest.mark.parametrize(
    ("status", "method", "expected"), [(204, b"GET", False), (200, b"HEAD", False), (200, b"GET", True)]
)
def test_some_answers_have_no_body(status, method, expected):
    assert has_body(status, method) is expected


def test_an_answer_without_content_has_no_length():
    head = response_head(204, 0, content_type=b"application/json", second=0)
    assert b"content-" not in head
    assert Reader(head).complete


def test_old_clients_are_told_that_the_connection_stays():
    assert b"connection: keep-alive\r\n" in response_head(200, 0, content_type=b"", second=0, old=True)
    assert b"connection: close\r\n" in response_head(200, 0, content_type=b"", second=0, old=True, close=True)


@given(st.integers(0, 4_000_000_000))
def test_the_date_is_what_clients_read(second):
    date = date_line(second).removeprefix(b"date: ").strip().decode()
    assert calendar.timegm(email.utils.parsedate(date)) == second
    assert date == email.utils.formatdate(second, usegmt=True)
