import json

import pytest

from shoal.core import errors
from shoal.core._generated import shoal_grpc_pb2 as grpc_pb
from shoal.serving.gateway import problems, request_ids
from support.gateway_fakes import FakeExchange, FakeRpc


def all_codes() -> set[str]:
    """Of errors that can come to the data port; those of the control API alone are its own matter."""
    found, kinds = set(), [errors.ShoalError]
    while kinds:
        kind = kinds.pop()
        if not kind.__module__.startswith("shoal.control."):
            found.add(kind.code)
        kinds += kind.__subclasses__()
    return found


def test_every_error_of_the_domain_has_a_meaning_on_the_wire() -> None:
    assert all_codes() == set(problems.OUTCOMES)


def test_only_internal_errors_are_500() -> None:
    assert [code for code, outcome in problems.OUTCOMES.items() if outcome.status == 500] == ["internal"]


def test_an_http_error_says_everything_in_its_body() -> None:
    exchange = FakeExchange("POST", "/", headers={b"x-request-id": b"abc-1"})
    problems.answer_error(exchange, errors.InvalidInput("it is wrong", hint="mend it", field="inputs[0].shape"))
    assert exchange.answer.status == 400
    assert exchange.answer.json() == {
        "error": "it is wrong",
        "code": "invalid_input",
        "hint": "mend it",
        "field": "inputs[0].shape",
        "request_id": "abc-1",
    }
    assert exchange.answer.headers[b"x-request-id"] == b"abc-1"
    assert exchange.answer.headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize(("given", "header"), [(None, b"1"), (0.2, b"1"), (2.5, b"3")])
def test_what_is_unavailable_says_when_to_try_again(given: float | None, header: bytes) -> None:
    exchange = FakeExchange("POST", "/")
    problems.answer_error(exchange, errors.Overloaded("full", retry_after=given))
    assert (exchange.answer.status, exchange.answer.headers[b"retry-after"]) == (503, header)
    rpc = FakeRpc()
    problems.fail_rpc(rpc, errors.Overloaded("full", retry_after=given))
    assert rpc.failure is not None
    code, _, metadata, details = rpc.failure
    assert (code, metadata[b"grpc-retry-pushback-ms"]) == (14, b"%d" % ((given if given is not None else 1.0) * 1000))
    assert [any_.type_url.rpartition(".")[2] for any_ in grpc_pb.Status.FromString(details).details] == [
        "ErrorInfo",
        "RetryInfo",
    ]


def test_a_grpc_error_carries_reason_field_and_hint() -> None:
    rpc = FakeRpc({b"x-request-id": b"abc"})
    problems.fail_rpc(rpc, errors.InvalidInput("it is wrong", hint="mend it", field="inputs.shape"))
    assert rpc.failure is not None
    status = grpc_pb.Status.FromString(rpc.failure[3])
    info = grpc_pb.ErrorInfo.FromString(status.details[0].value)
    assert (status.code, info.reason) == (3, "INVALID_INPUT")
    assert dict(info.metadata) == {"hint": "mend it", "request_id": "abc"}
    violation = grpc_pb.BadRequest.FromString(status.details[1].value).field_violations[0]
    assert (violation.field, violation.description) == ("inputs.shape", "it is wrong")


def test_texts_are_cut_and_escaped() -> None:
    exchange = FakeExchange("POST", "/")
    problems.answer_error(exchange, errors.InvalidInput("x\r\nset-cookie: a=b\x1b[31m" + "y" * 5000))
    body = exchange.answer.body
    assert not any(byte < 0x20 for byte in body)
    assert len(json.loads(body)["error"]) == problems.MAX_TEXT


def test_a_bug_tells_nothing_of_its_inside(caplog: pytest.LogCaptureFixture) -> None:
    exchange = FakeExchange("POST", "/")
    problems.answer_error(exchange, problems.unexpected(KeyError("/secret/path")))
    assert exchange.answer.status == 500
    assert b"secret" not in exchange.answer.body
    assert "internal error" in caplog.text


@pytest.mark.parametrize("value", [b"", b"a b", b"a\r\nb", b"\xff", b"x" * 129])
def test_request_ids_that_cannot_be_used_are_replaced(value: bytes) -> None:
    assert request_ids.given({b"x-request-id": value}) is None
    made = {request_ids.request_id({b"x-request-id": value}) for _ in range(3)}
    assert len(made) == 3


def test_counts_by_code() -> None:
    from shoal.core.metrics import Metrics

    family = Metrics().counter("shoal_refused_total", "x", ("code",))
    refusals = problems.Refusals(family)
    refusals.http(FakeExchange("GET", "/"), errors.NotFound("a"))
    refusals.rpc(FakeRpc(), errors.NotFound("b"))
    assert {key: child.value for key, child in family.children.items()} == {("not_found",): 2}


def test_who_is_not_known_is_told_how_to_say_it() -> None:
    exchange = FakeExchange("GET", "/")
    problems.answer_error(exchange, errors.Unauthenticated("who?"))
    assert exchange.answer.header_list.count(problems.CHALLENGE) == 1
    assert problems.PAGE_CHALLENGE not in exchange.answer.header_list
    page = FakeExchange("GET", "/", headers={b"accept": b"text/html,*/*"})
    problems.answer_error(page, errors.TooManyAttempts("wait", retry_after=3.0))
    assert (page.answer.status, page.answer.headers[b"retry-after"]) == (429, b"3")
    assert problems.PAGE_CHALLENGE in page.answer.header_list
