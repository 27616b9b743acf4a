"""How the tracking server is told."""

from __future__ import annotations

import pytest

from shoal.control.sources import Tracking, tracking_from
from shoal.control.sources.mlflow.server import Server
from shoal.core.errors import ConfigError, Unavailable


def test_the_variables_of_mlflow_are_read() -> None:
    environ = {
        "MLFLOW_TRACKING_URI": "http://h:1",
        "MLFLOW_TRACKING_USERNAME": "ann",
        "MLFLOW_TRACKING_PASSWORD": "word",
    }
    assert tracking_from(environ) == Tracking(url="http://h:1", username="ann", password="word")
    assert tracking_from({"MLFLOW_TRACKING_TOKEN": "t"}, "https://h") == Tracking(url="https://h", token="t")
    assert tracking_from({}) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h:5000",
        "ftp://h",
        "file:///mlruns",
        "sqlite:///mlflow.db",
        "databricks",
        "http://",
        "http://h:port",
        "http://[::1",
        "http://h?x=1",
        "http://h#x",
    ],
)
def test_what_is_no_server_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Server(Tracking(url=url))
    assert "MLFLOW_TRACKING_URI" in caught.value.hint


def test_a_password_in_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="holds a password") as caught:
        Server(Tracking(url="http://ann:word@h"))
    assert "word@" not in str(caught.value.to_record())


def test_waits_grow_between_attempts() -> None:
    waits: list[float] = []
    server = Server(Tracking(url="http://127.0.0.1:9", attempts=4, pause=1.0), sleep=waits.append)
    with pytest.raises(Unavailable):
        server.ask("/", {}, dict)
    assert waits == [1.0, 2.0, 4.0]


def test_a_token_that_cannot_be_sent_is_not_shown() -> None:
    with pytest.raises(ConfigError, match="credentials for MLflow cannot be sent") as caught:
        Server(Tracking(url="http://127.0.0.1:9", token="a\r\nHost: evil")).ask("/", {}, dict)
    assert "evil" not in str(caught.value.to_record())
