"""A whole node under mutated requests and mutated streams of bytes: clear answers, no hang, nothing grows, nobody dies.

Short by default; `SHOAL_FUZZ_ROUNDS=100` repeats each form that often, with other seeds. The long form is marked slow.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from random import Random
from typing import Any

import grpc
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from fuzz import mutate
from fuzz.body_targets import JSON_WORDS, v1_seeds, v2_json_seeds
from fuzz.wire_targets import HTTP1_WORDS
from shoal.core.types import InferenceRequest, Tensor
from shoal.core.wire import v2_proto
from shoal.core.wire.http2 import PREFACE
from shoal.testing.node import RunningNode, serve
from support.faulty_models import faulty_model
from support.http2_wire import POST, Answers, RawClient, grpc_head
from support.processes import descriptors, resident_bytes, workers

pytestmark = [pytest.mark.process, pytest.mark.timeout(1800)]

ROUNDS = [
    pytest.param(int(os.environ.get("SHOAL_FUZZ_ROUNDS", "1")), id="short"),
    pytest.param(20, id="long", marks=pytest.mark.slow),
]
REST, RPCS, STREAMS, CASES = 2000, 1000, 500, 200
"""Inputs of each short form; as many streams of HTTP/1.1 as of HTTP/2."""

ALLOWED = {501, 502, 503, 504}
"""Of the statuses from 500 on: what is not offered, a model's own failure, a refusal for now, a deadline."""
LAST = 0x7001
"""The stream of the good request that follows a mutated stream of bytes."""
GROWTH = 8 * 1024 * 1024
PATHS = (
    "/v2/models/arrays/infer",
    "/v2/models/oracle/infer",
    "/v1/models/arrays:predict",
    "/v2/models/oracle/predict_all",
)

METHODS = (
    "ModelInfer",
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "ServerMetadata",
)

_change = mutate.tokens(b'"arrays"', b'"oracle"', b'"y"', *JSON_WORDS)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("fuzzed")
    faulty_model(folder, "oracle", kind="OracleModel")
    faulty_model(folder, "arrays", kind="FaultArrays")
    with serve(folder) as running:
        yield running


@pytest.fixture
def unhurt(node: RunningNode) -> Iterator[RunningNode]:
    """The node; afterwards it must be what it was: the same processes, alive, no fatter, with no more open files."""
    assert _status(node, "/v2") == 200
    before, files, memory = workers(node.process.pid), descriptors(node.process.pid), resident_bytes(node.process.pid)
    yield node
    assert node.process.poll() is None
    assert workers(node.process.pid) == before
    assert resident_bytes(node.process.pid) - memory < GROWTH
    assert _status(node, "/v2/health/ready") == 200
    assert descriptors(node.process.pid) <= files + 4
    assert "Traceback" not in _own_log(node), _own_log(node)[-4000:]


def _own_log(node: RunningNode) -> str:
    """What the node says of itself, without what its models say: those may raise, and show where."""
    return "\n".join(line for line in node.log().splitlines() if "  model=" not in line)


def _status(node: RunningNode, path: str) -> int:
    with closing(HTTPConnection("127.0.0.1", node.port, timeout=10)) as link:
        return _ask(link, "GET", path, b"", {})[0]


def _ask(link: HTTPConnection, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    link.request(method, path, body, headers)
    answer = link.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize("rounds", ROUNDS)
def test_mutated_rest_requests_get_clear_answers(unhurt: RunningNode, rounds: int) -> None:
    random, seeds = Random(rounds), [*v2_json_seeds(), *v1_seeds(), b'{"inputs":["a","b"]}']
    seen: Counter[int] = Counter()
    with closing(HTTPConnection("127.0.0.1", unhurt.port, timeout=20)) as link:
        for _ in range(REST * rounds):
            seen[_try_request(link, random, seeds)] += 1
    assert {200, 400} <= seen.keys(), seen


def _try_request(link: HTTPConnection, random: Random, seeds: list[bytes]) -> int:
    body = _change(random.choice(seeds), random)
    headers = {"Content-Type": "application/json"}
    if random.random() < 0.15:
        headers["Inference-Header-Content-Length"] = str(
            random.choice((0, 1, len(body) // 2, len(body), len(body) + 1))
        )
    status, text = _ask(link, "POST", random.choice(PATHS), body, headers)
    assert status < 500 or status in ALLOWED, (status, text, body)
    assert status == 200 or json.loads(text)["error"], (status, text, body)
    return status


def _messages() -> list[bytes]:
    numbers = Tensor("x", [2, 1], "FP64", [1.0, 2.0], {"p": True})
    texts = Tensor("inputs", [2], "BYTES", [b"a", b"b"])
    requests = [
        InferenceRequest([numbers], model_name="arrays", id="7", parameters={"priority": 1, "timeout": 10_000_000}),
        InferenceRequest([texts], model_name="oracle"),
    ]
    return [v2_proto.encode_request(each, raw=raw) for each in requests for raw in (True, False)]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_mutated_rpcs_get_clear_answers(unhurt: RunningNode, rounds: int) -> None:
    random, seeds = Random(rounds), _messages()
    seen: Counter[grpc.StatusCode] = Counter()
    with grpc.insecure_channel(f"127.0.0.1:{unhurt.port}") as channel:
        methods = [channel.unary_unary(f"/inference.GRPCInferenceService/{name}") for name in METHODS]
        for _ in range(RPCS * rounds):
            message = mutate.records(random.choice(seeds), random)
            code = _call(methods[0] if random.random() < 0.7 else random.choice(methods), message)
            assert code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS), message
            seen[code] += 1
    assert {grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT} <= seen.keys(), seen


def _call(method: Any, message: bytes) -> grpc.StatusCode:
    try:
        method(message, timeout=20)
    except grpc.RpcError as error:
        return error.code()  # type: ignore[no-any-return,attr-defined]
    return grpc.StatusCode.OK


def _exchange(port: int, data: bytes, random: Random) -> bytes:
    """Send a stream in a few writes, end it, and read until the node ends it too. A node that never does is a hang."""
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        try:
            cut = random.randrange(len(data) + 1)
            for piece in (data[:cut], data[cut:]):
                link.sendall(piece)
            link.shutdown(socket.SHUT_WR)
            while piece := link.recv(65_536):
                answer += piece
        except (ConnectionResetError, BrokenPipeError):
            pass  # refused while we were still writing
    return bytes(answer)


def _http1_streams() -> list[bytes]:
    body = b'{"inputs":["a"]}'
    head = b"POST /v2/models/oracle/predict_all HTTP/1.1\r\nHost: shoal\r\nContent-Type: application/json\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    return [whole, whole * 3, chunked + whole, b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n" + chunked]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_mutated_http1_streams_end(unhurt: RunningNode, rounds: int) -> None:
    random, seeds, change = Random(rounds), _http1_streams(), mutate.tokens(*HTTP1_WORDS)
    seen: Counter[bytes] = Counter()
    for _ in range(STREAMS * rounds):
        stream = change(random.choice(seeds), random)
        statuses = re.findall(rb"HTTP/1\.[01] ([0-9]{3})", _exchange(unhurt.port, stream, random))
        assert b"500" not in statuses, stream
        seen.update(statuses)
    assert {b"200", b"400"} <= seen.keys(), seen


def _converse(port: int, stream: bytes) -> bytes:
    """Send a stream, then a good request, and read until that is answered or the node ends the connection.

    Where the good request has become part of a frame that was cut, nothing is to come, and we end the connection.
    """
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=0.1) as link:
        try:
            link.sendall(stream + RawClient().head(LAST, [(b":method", b"GET"), *POST[1:]]))
            while not _has_ended(answer, LAST) and (piece := link.recv(65_536)):
                answer += piece
        except TimeoutError:
            pass
        except (ConnectionResetError, BrokenPipeError):
            return bytes(answer)
        return bytes(answer) + _end(link)


def _end(link: socket.socket) -> bytes:
    """End our side and read until the node ends its own."""
    rest = bytearray()
    link.settimeout(10)
    try:
        link.shutdown(socket.SHUT_WR)
        while piece := link.recv(65_536):
            rest += piece
    except TimeoutError:
        pytest.fail("the node does not end the connection")
    except OSError:
        pass  # it has done so already
    return bytes(rest)


def _has_ended(answer: bytes | bytearray, stream: int) -> bool:
    at = 0
    while len(answer) - at >= 9:
        kind, flags = answer[at + 3], answer[at + 4]
        if kind in (0, 1) and flags & 1 and int.from_bytes(answer[at + 5 : at + 9], "big") == stream:
            return True
        at += 9 + int.from_bytes(answer[at : at + 3], "big")
    return False


def _http2_streams() -> list[bytes]:
    client, body = RawClient(), b'{"inputs":["a"]}'
    hello = client.hello()[len(PREFACE) :]
    fields = [(name, b"/v2/models/oracle/predict_all" if name == b":path" else value) for name, value in POST]
    message = _messages()[2]
    call = client.head(1, grpc_head(b"/inference.GRPCInferenceService/ModelInfer"), False)
    unary = hello + call + client.data(1, b"\0" + len(message).to_bytes(4, "big") + message)
    rest = client.head(3, fields, False) + client.data(3, body[:5], False) + client.data(3, body[5:])
    return [unary, unary + rest, RawClient().hello()[len(PREFACE) :] + RawClient().head(1, fields, False)]


@pytest.mark.parametrize("rounds", ROUNDS)
def test_mutated_http2_streams_end(unhurt: RunningNode, rounds: int) -> None:
    random, seeds = Random(rounds), _http2_streams()
    seen: Counter[bytes] = Counter()
    for _ in range(STREAMS * rounds):
        stream = PREFACE + mutate.http2_frames(random.choice(seeds), random)
        answers = Answers().feed(_converse(unhurt.port, stream))
        statuses = [heads[0].get(b":status", b"") for heads in answers.headers.values()]
        assert b"500" not in statuses, stream
        seen.update(statuses)
    assert seen[b"200"] > STREAMS // 2, seen


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_node_keeps_to_its_openapi(unhurt: RunningNode, rounds: int) -> None:
    schema = schemathesis.openapi.from_url(f"{unhurt.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    calm = [each for each in operations if "/load" not in each.path and "/unload" not in each.path]
    assert calm
    for operation in calm:
        _try_cases(operation, max(2, CASES * rounds // len(calm)))


def _try_cases(operation: Any, count: int) -> None:
    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        response = case.call(timeout=20)
        assert response.status_code < 500 or response.status_code in ALLOWED, (case.as_curl_command(), response.content)

    run()
