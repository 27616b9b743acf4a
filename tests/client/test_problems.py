"""Errors of a server, read back."""

from __future__ import annotations

import base64
import json

import pytest

from shoal.client.operations import Reply
from shoal.client.problems import from_grpc, from_http
from shoal.core import errors
from shoal.serving.gateway import problems as gateway

KINDS = [
    errors.InvalidInput, errors.TooLarge, errors.PoisonInput, errors.Unauthenticated, errors.PermissionDenied,
    errors.NotFound, errors.Unsupported, errors.DeadlineExceeded, errors.Cancelled, errors.Unavailable,
    errors.Overloaded, errors.NotReady, errors.ModelError, errors.ModelContract, errors.InternalError,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_a_shoal_server_comes_back_as_itself_over_rest(kind: type[errors.ShoalError]) -> None:
    sent = kind("no luck", hint="try less", field="inputs[0]", retry_after=2.0)
    headers = dict(gateway.http_headers(sent, "r-1"))
    got = from_http(Reply(gateway.outcome(sent).status, headers, gateway.http_body(sent, "r-1")))
    assert type(got) is kind
    assert (got.message, got.hint, got.field, got.retry_after, got.request_id) == (
        "no luck",
        "try less",
        "inputs[0]",
        2.0,
        "r-1",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_a_shoal_server_comes_back_as_itself_over_grpc(kind: type[errors.ShoalError]) -> None:
    sent = kind("kein Glück", hint="try less", field="inputs[0]", retry_after=2.0)
    trailers = {
        b"grpc-status": b"%d" % gateway.outcome(sent).grpc,
        b"grpc-message": b"kein Gl%C3%BCck",
        b"grpc-status-details-bin": base64.b64encode(gateway.grpc_details(sent, "r-1")).rstrip(b"="),
    }
    got = from_grpc(Reply(200, trailers, b""))
    assert type(got) is kind
    assert (got.message, got.hint, got.field, got.retry_after, got.request_id) == (
        "kein Glück",
        "try less",
        "inputs[0]",
        2.0,
        "r-1",
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, errors.InvalidInput), (404, errors.NotFound), (418, errors.InvalidInput), (503, errors.Unavailable),
     (599, errors.InternalError)],
)  # fmt: skip
def test_the_status_decides_where_the_body_says_nothing(status: int, kind: type[errors.ShoalError]) -> None:
    error = from_http(Reply(status, {}, b"<h1>oops</h1>"))
    assert type(error) is kind
    assert error.message == "<h1>oops</h1>"


def test_the_plain_v2_error_of_any_server_is_read() -> None:
    error = from_http(Reply(404, {}, json.dumps({"error": "no model"}).encode()))
    assert (type(error), error.message) == (errors.NotFound, "no model")


def test_grpc_of_any_server_is_read_by_its_status() -> None:
    error = from_grpc(Reply(200, {b"grpc-status": b"14", b"grpc-retry-pushback-ms": b"1500"}, b""))
    assert type(error) is errors.Unavailable
    assert error.retry_after == 1.5
    assert from_grpc(Reply(200, {b"grpc-status": b"0"}, b"")) is None


def test_broken_details_are_ignored() -> None:
    error = from_grpc(Reply(200, {b"grpc-status": b"5", b"grpc-status-details-bin": b"!!!"}, b""))
    assert type(error) is errors.NotFound


def test_an_answer_that_is_not_grpc_is_an_error() -> None:
    assert type(from_grpc(Reply(200, {}, b"hello"))) is errors.InternalError
    assert type(from_grpc(Reply(503, {}, b"proxy says no"))) is errors.Unavailable
