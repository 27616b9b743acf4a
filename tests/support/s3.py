"""An S3-speaking server on loopback."""

from __future__ import annotations

import http.client
import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

_numbers = itertools.count()


class S3Server:
    """A running server; each `bucket` is new and empty."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port

    def bucket(self, prefix: str = "models") -> str:
        """The URL of an empty artifact store."""
        name = f"bucket-{next(_numbers)}"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        connection.request("PUT", f"/{name}")
        assert connection.getresponse().status == 200
        connection.close()
        return f"s3://{name}/{prefix}?endpoint=http://{self.host}:{self.port}&region=us-east-1"


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server that lives as long as the block."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        yield S3Server(*server.get_host_and_port())
    finally:
        server.stop()


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    """For a module; credentials come from the environment, as they do for users."""
    with pytest.MonkeyPatch.context() as patch, s3_server() as server:
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        yield server
