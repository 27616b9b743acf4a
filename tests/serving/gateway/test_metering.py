"""Quotas at the data port: who is refused how, and that every place is given back, whatever the outcome."""

from __future__ import annotations

import pytest

from shoal.core.errors import ModelError
from shoal.core.limits import TenantLimits
from shoal.serving.gateway.quotas import Meter
from support.gateway_fakes import FakeRpc, Gateway, handle, proto, v2

INFER = "/v2/models/iris/infer"


def gateway(**limits: float) -> Gateway:
    return Gateway(handle("iris"), tenants={"default": TenantLimits(**limits)})  # type: ignore[arg-type]


def meter(served: Gateway) -> Meter:
    (found,) = served.application.router._quotas._meters.values()  # type: ignore[union-attr]
    return found


def test_above_the_quota_http_gets_429_and_is_told_when_to_come_again() -> None:
    served = gateway(rate=0.5, burst=1)
    assert served.post(INFER, v2()).status == 200
    refused = served.post(INFER, v2())
    assert (refused.status, refused.json()["code"]) == (429, "quota_exceeded")
    assert refused.headers[b"retry-after"] == b"2"
    assert len(served.models.find("iris").dispatch.calls) == 1
    assert b'shoal_refused_total{code="quota_exceeded"} 1' in served.get("/metrics").body


def test_above_the_quota_grpc_gets_resource_exhausted_and_pushback() -> None:
    served = gateway(rate=0.5, burst=1)
    assert served.infer(proto().SerializeToString()).code == 0
    rpc = served.infer(proto().SerializeToString())
    assert rpc.code == 8
    assert rpc.failure is not None
    assert rpc.failure[2][b"grpc-retry-pushback-ms"] == b"2000"


def test_rows_count_for_quotas_of_rows() -> None:
    served = gateway(rows_per_second=1, rows_burst=10)
    assert served.post(INFER, v2([8, 4], [0.5] * 32)).status == 200
    assert served.post(INFER, v2([3, 4], [0.5] * 12)).status == 429
    assert served.post(INFER, v2([2, 4], [0.5] * 8)).status == 200


@pytest.mark.parametrize("outcome", ["answer", "error", "gone"])
def test_each_outcome_gives_the_place_back_once(outcome: str) -> None:
    served = gateway(concurrency=2)
    dispatch = served.models.find("iris").dispatch
    dispatch.hold = True
    exchange = served.ask("POST", INFER, v2())
    rpc = served.infer(proto().SerializeToString(), FakeRpc())
    assert meter(served).in_flight == 2
    assert served.post(INFER, v2()).status == 429
    for call, asked in zip(dispatch.calls, (exchange, rpc), strict=True):
        if outcome == "answer":
            call.answer(b"{}", -1)
        elif outcome == "error":
            call.fail(ModelError("raised"))
        else:
            assert asked.on_gone is not None
            asked.on_gone()
        assert asked.on_gone is None
        call.fail(ModelError("too late")) if outcome != "gone" else None
    assert meter(served).in_flight == 0


def test_who_is_refused_for_something_else_takes_no_place() -> None:
    served = gateway(concurrency=1)
    for _ in range(3):
        assert served.post(INFER, b"{").status == 400
        assert served.post("/v2/models/unknown/infer", v2()).status == 404
    assert served.post(INFER, v2()).status == 200
    assert meter(served).in_flight == 0


def test_without_quotas_nobody_counts() -> None:
    served = Gateway(handle("iris"))
    assert [served.post(INFER, v2()).status for _ in range(5)] == [200] * 5
    assert b"shoal_tenant" not in served.get("/metrics").body
