from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.burst import complete, http_message
from benchmarks.driver import Request
from benchmarks.figures.start_and_memory import slope

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


def test_an_answer_is_complete_when_its_body_is_there() -> None:
    assert [complete(ANSWER[:end]) for end in range(len(ANSWER) + 1)] == [False] * len(ANSWER) + [True]


def test_the_message_has_host_length_and_body(tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"{}")
    message = http_message(Request("http://127.0.0.1:8080/v2/x", body))
    assert message.startswith(b"POST /v2/x HTTP/1.1\r\nhost: 127.0.0.1:8080\r\ncontent-length: 2\r\n")
    assert message.endswith(b"\r\n\r\n{}")


def test_the_slope_is_per_100_000_requests() -> None:
    assert slope([0, 100_000, 200_000], [10.0, 11.0, 12.0]) == pytest.approx(1.0)
    assert slope([0, 50_000, 100_000], [10.0, 10.0, 10.0]) == 0
