"""Whatever comes in: exactly one answer, and never one that means a bug."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.errors import InvalidInput
from shoal.serving.gateway.exchange import Unary
from support.gateway_fakes import FakeExchange, FakeRpc, Gateway, proto, v2

segments = st.sampled_from(
    ["v2", "v1", "models", "iris", "digits", "versions", "1", "infer", "predict_all", "ready", "stats", "config",
     "docs", "openapi.json", "repository", "index", "health", "live", "static", "app", "iris:predict",
     "%2e%2e", "%00", "", "é"]
)  # fmt: skip
paths = st.lists(segments, max_size=7).map(lambda parts: "/" + "/".join(parts))
known = st.sampled_from(
    ["/v2/models/iris/infer", "/v2/models/digits/versions/1/infer", "/v2/models/iris/predict_all",
     "/v1/models/iris:predict", "/v2/repository/index"]
)  # fmt: skip
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["inputs", "instances", "shape", "data", "parameters", "timeout", "priority", "ready"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
bodies = st.one_of(st.binary(max_size=80), json_values.map(lambda value: json.dumps(value).encode()), st.just(v2()))
headers = st.dictionaries(
    st.sampled_from(
        [
            b"content-type",
            b"inference-header-content-length",
            b"x-request-timeout-ms",
            b"x-request-id",
            b"sec-fetch-site",
        ]
    ),
    st.one_of(st.binary(max_size=10), st.sampled_from([b"0", b"5", b"application/json"])),
    max_size=3,
)


def gateway() -> Gateway:
    """Models that refuse all that reaches them: only the gateway is looked at here."""
    served = Gateway()
    for model in served.models.handles:
        model.dispatch.error = InvalidInput("refused by the model")
    return served


SERVED = gateway()


@given(st.sampled_from(["GET", "POST", "HEAD", "PUT", "x y", ""]), st.one_of(paths, known), bodies, headers)
def test_any_http_request_has_one_answer_and_no_bug(
    method: str, target: str, body: bytes, named: dict[bytes, bytes]
) -> None:
    exchange = FakeExchange(method, target.encode(), body, named)
    SERVED.application.http(exchange)
    answer = exchange.answer
    assert answer.status != 500, answer
    if answer.status >= 400:
        problem = answer.json()
        assert problem["request_id"].encode() == answer.headers[b"x-request-id"]
        assert problem["error"]
        assert problem["code"]


def mutated(message: bytes) -> st.SearchStrategy[bytes]:
    at = st.integers(0, len(message) - 1)
    return st.tuples(at, st.binary(max_size=3)).map(lambda edit: message[: edit[0]] + edit[1] + message[edit[0] + 1 :])


METHODS = {
    path: method
    for path, method in SERVED.application.rpc.items()
    if isinstance(method, Unary) and b"RepositoryModel" not in path
}


@given(
    st.sampled_from(sorted(METHODS)),
    st.one_of(
        st.binary(max_size=60),
        mutated(proto().SerializeToString()),
        mutated(pb.ModelReadyRequest(name="iris", version="1").SerializeToString()),
    ),
)
def test_any_grpc_message_has_one_answer_and_no_bug(path: bytes, message: bytes) -> None:
    rpc = FakeRpc()
    METHODS[path].handle(rpc, message)
    assert len(rpc.finished) + (rpc.failure is not None) == 1
    assert rpc.code not in (2, 13)
