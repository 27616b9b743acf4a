"""Serves this folder in a node of its own; asks the model and the app beside it."""

import json
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from shoal.testing.node import serve

HERE = Path(__file__).parent
SECONDS = 20.0


def get(url: str, body: bytes | None = None) -> bytes:
    """What is there, once the app has started: until then it answers 503."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            with urlopen(Request(url, body, {"Content-Type": "application/json"})) as answer:
                content: bytes = answer.read()
                return content
        except HTTPError as error:
            error.close()
            if error.code != 503 or time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_the_model_and_its_app_answer_on_one_port() -> None:
    with serve(HERE) as node, node.client() as client:
        assert b"<title>words</title>" in get(f"{node.url}/models/words/app/")
        cleaned = json.loads(get(f"{node.url}/models/words/app/clean", b'{"text": " so   far "}'))
        assert cleaned == {"text": "so far"}
        assert client.predict_all("words", ["so far so good"]) == ["4"]
