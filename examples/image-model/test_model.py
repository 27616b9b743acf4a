"""Serves this folder, and pictures from a web server on the same machine."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from shoal.testing.node import RunningNode, serve

HERE = Path(__file__).parent
PIXELS, LABELS = load_digits(return_X_y=True)


class Pictures(BaseHTTPRequestHandler):
    """`/N.png` is the N-th handwritten digit; `/text` is no picture; `/away` leads elsewhere; all else is not there."""

    def do_GET(self) -> None:
        number = self.path.strip("/").removesuffix(".png")
        body = png(int(number)) if number.isdecimal() else b"hello"
        self.send_response(302 if self.path == "/away" else 200 if body != b"hello" or self.path == "/text" else 404)
        self.send_header("Location", "http://127.0.0.1:1/0.png")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def png(number: int) -> bytes:
    grey = np.asarray(255 - PIXELS[number].reshape(8, 8) / 16.0 * 255, dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(grey).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def pictures() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    subprocess.run([sys.executable, HERE / "train.py"], check=True)
    with serve(HERE) as running:
        yield running


def ask(node: RunningNode, urls: list[str]) -> dict[str, list[str | None] | dict[str, str]]:
    body = json.dumps({"inputs": urls}).encode()
    request = Request(f"{node.url}/v2/models/digits/predict_all", body, {"Content-Type": "application/json"})
    with urlopen(request) as answer:
        return json.load(answer)


def test_digits_are_read(node: RunningNode, pictures: str) -> None:
    answers = ask(node, [f"{pictures}/{number}.png" for number in range(20)])
    assert "errors" not in answers
    read = [json.loads(each)["digit"] for each in answers["outputs"]]
    assert (np.array(read) == LABELS[:20]).mean() >= 0.9


def test_whatever_is_wrong_with_one_address_is_the_error_of_that_item(node: RunningNode, pictures: str) -> None:
    dead = "http://127.0.0.1:1/0.png"
    bad = [
        dead,
        f"{pictures}/missing",
        f"{pictures}/text",
        f"{pictures}/away",
        "http://10.0.0.1/",
        "file:///etc/passwd",
    ]
    answers = ask(node, [f"{pictures}/0.png", *bad, f"{pictures}/1.png"])
    assert sorted(answers["errors"]) == [str(number) for number in range(1, 1 + len(bad))]
    assert [json.loads(answers["outputs"][at])["digit"] for at in (0, -1)] == LABELS[:2].tolist()
    assert "has the scheme 'file'" in answers["errors"]["6"]
