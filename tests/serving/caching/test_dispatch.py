from __future__ import annotations

import json

import pytest

from shoal.core._generated import shoal_inference_pb2 as pb
from shoal.core.call import Format, State
from shoal.core.errors import DeadlineExceeded, ModelError, Overloaded
from shoal.core.model import Batching
from shoal.serving.caching import dispatch
from shoal.serving.caching.keys import MAX_BODY
from support.asked import AskedCall, ask
from support.cached import CacheBench
from support.fake_workers import Bench


@pytest.fixture
def bench() -> CacheBench:
    return CacheBench()


def test_the_second_of_two_alike_is_answered_without_the_model(bench: CacheBench) -> None:
    first = bench.submit(ask(1, id="a"))
    bench.model.finish()
    second, third = bench.submit(ask(1, id="b")), bench.submit(ask(1))
    assert [json.loads(call.answered).get("id") for call in (first, second, third)] == ["a", "b", None]
    assert len({json.dumps(json.loads(call.answered)["outputs"]) for call in bench.calls}) == 1
    assert len(bench.model.seen) == 1
    assert bench.counts() == (2, 1, 0, 0)


def test_the_model_is_asked_without_the_id(bench: CacheBench) -> None:
    bench.submit(ask(1, id="secret"))
    assert bench.model.seen == [
        ask(1).replace(
            b'{"name":"x","shape":[1],"datatype":"FP64","data":[1]}',
            b'{"data":[1],"datatype":"FP64","name":"x","shape":[1]}',
        )
    ]
    bench.submit(ask(2))
    assert bench.model.seen[1] == ask(2)


def test_a_thousand_who_ask_at_once_cost_the_model_one_run(bench: CacheBench) -> None:
    for number in range(1000):
        bench.submit(ask(1, id=str(number)))
    assert len(bench.model.calls) == 1
    bench.model.finish()
    assert [json.loads(call.answered)["id"] for call in bench.calls] == [str(number) for number in range(1000)]
    assert bench.counts() == (0, 1, 999, 0)


def test_an_answer_is_forgotten_after_its_time(bench: CacheBench) -> None:
    bench.submit()
    bench.model.finish()
    bench.loop.advance(29.9)
    assert bench.submit().answered
    bench.loop.advance(0.2)
    bench.submit()
    assert len(bench.model.calls) == 1


@pytest.mark.parametrize("format", [Format.V2_PROTO, Format.V1_JSON, Format.PREDICT_ALL])
def test_every_format_is_kept(bench: CacheBench, format: Format) -> None:
    body = b'{"inputs":["a"]}'
    if format == Format.V2_PROTO:
        body = pb.ModelInferRequest(model_name="m", id="a", inputs=[{"name": "x"}]).SerializeToString()
    bench.submit(body, format=format)
    bench.model.finish()
    second = bench.submit(body.replace(b"\x1a\x01a", b"\x1a\x01b"), format=format)
    if format == Format.V2_PROTO:
        assert pb.ModelInferResponse.FromString(second.answered).id == "b"
    assert bench.counts() == (1, 1, 0, 0)


def test_binary_tensors_are_kept_with_the_length_of_their_json(bench: CacheBench) -> None:
    for id in "ab":
        head = ask(1, id=id)
        bench.submit(head + b"\x01\x02", json_length=len(head))
        if bench.model.calls:
            bench.model.finish()
    for call in bench.calls:
        (outcome,) = call.outcomes
        assert isinstance(outcome, tuple)
        assert outcome[0][outcome[1] :] == b"\x01\x02"
        assert json.loads(outcome[0][: outcome[1]])["id"] in "ab"
    assert bench.counts() == (1, 1, 0, 0)


def test_an_error_is_the_first_ones_alone_and_nothing_is_kept(bench: CacheBench) -> None:
    first, second, third = (bench.submit(ask(1, id=id)) for id in "abc")
    bench.model.fail()
    assert isinstance(first.error, ModelError)
    assert [call.outcomes for call in (second, third)] == [[], []]
    assert bench.model.calls == [second, third]
    bench.model.finish()
    bench.model.fail()
    assert json.loads(second.answered)["id"] == "b"
    assert isinstance(third.error, ModelError)
    bench.submit(ask(1))
    assert bench.counts() == (0, 2, 2, 0)


def test_an_answer_that_tells_errors_is_the_first_ones_alone(bench: CacheBench) -> None:
    calls = [bench.submit(b'{"inputs":["a","b"]}', format=Format.PREDICT_ALL) for _ in range(2)]
    bench.model.calls.pop().answer(b'{"outputs":["a",null],"errors":{"1":"no"}}', -1)
    assert calls[0].answered
    assert bench.model.calls == [calls[1]]
    assert len(bench.share) == 0


def test_who_leaves_takes_nobody_along(bench: CacheBench) -> None:
    first, second = bench.submit(), bench.submit()
    bench.cache.cancel(first)
    assert not bench.model.cancelled
    bench.model.finish()
    assert first.outcomes == []
    assert second.answered


def test_the_second_becomes_the_first_when_that_one_leaves(bench: CacheBench) -> None:
    first, second, third = (bench.submit() for _ in range(3))
    bench.cache.cancel(first)
    bench.model.fail()
    assert isinstance(second.error, ModelError)
    assert bench.model.calls == [third]


def test_when_all_have_left_the_model_need_not_answer(bench: CacheBench) -> None:
    calls = [bench.submit() for _ in range(2)]
    for call in calls:
        bench.cache.cancel(call)
    assert bench.model.calls == []
    assert len(bench.model.cancelled) == 1
    assert bench.submit().state is State.QUEUED
    bench.model.finish()
    assert bench.calls[-1].answered


def test_each_deadline_is_kept_by_one_timer(bench: CacheBench) -> None:
    first = bench.submit(timeout=5.0)
    assert bench.loop.timers == 0
    second, third = bench.submit(timeout=1.0), bench.submit(timeout=20.0)
    assert bench.loop.timers == 1
    bench.loop.advance(1.1)
    assert str(second.error) == "no answer from model 'm' within 1 seconds"
    bench.loop.advance(4)
    assert isinstance(first.error, DeadlineExceeded)
    (flight,) = bench.model.calls
    assert flight.deadline == third.deadline
    bench.model.finish()
    assert third.answered
    bench.loop.advance(60)
    assert bench.loop.timers == 0


def test_the_last_one_whose_time_is_over_calls_the_model_back(bench: CacheBench) -> None:
    calls = [bench.submit(timeout=1.0) for _ in range(2)]
    bench.loop.advance(1.1)
    assert all(isinstance(call.error, DeadlineExceeded) for call in calls)
    assert bench.model.calls == []


def test_a_refusal_is_an_outcome_of_each(bench: CacheBench) -> None:
    bench.submit()
    second = bench.submit()
    bench.model.refusal = Overloaded("full")
    bench.model.fail()
    assert isinstance(second.error, Overloaded)
    assert isinstance(bench.submit().error, Overloaded)


def test_who_is_more_urgent_does_not_wait_for_who_is_less(bench: CacheBench) -> None:
    bench.submit(level=2)
    urgent, patient = bench.submit(level=0), bench.submit(level=3)
    assert bench.model.calls[1:] == [urgent]
    bench.model.finish(1)
    assert urgent.answered
    bench.model.finish()
    assert patient.answered
    assert bench.counts() == (0, 1, 1, 1)


def test_what_is_too_large_goes_to_the_model(bench: CacheBench) -> None:
    call = bench.submit(b"x" * (MAX_BODY + 1))
    assert bench.model.calls == [call]
    bench.cache.cancel(call)
    assert bench.model.cancelled == [call]


def test_only_so_many_may_wait(bench: CacheBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "MAX_WAITING", 3)
    calls = [bench.submit() for _ in range(5)]
    assert bench.model.calls[1:] == calls[3:]
    monkeypatch.setattr(dispatch, "MAX_WAITING", 100)
    monkeypatch.setattr(dispatch, "MAX_WAITING_BYTES", 4 * len(ask()))
    bench.submit()
    more = bench.submit()
    assert bench.model.calls[-1] is more


def test_a_connection_that_breaks_on_its_answer_harms_nobody(
    bench: CacheBench, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise RuntimeError("gone")

    first, second, third = (bench.submit() for _ in range(3))
    first.and_then = second.and_then = broken
    bench.model.finish()
    assert third.answered
    assert len(caplog.records) == 2
    first = bench.submit(ask(2))
    second = bench.submit(ask(2))
    first.and_then = broken
    bench.model.fail()
    bench.model.finish()
    assert second.answered


def test_an_outcome_may_bring_the_next_call_or_make_another_leave(bench: CacheBench) -> None:
    first, second, third = (bench.submit() for _ in range(3))
    first.and_then = lambda: (bench.submit(), bench.cache.cancel(second))[0] and None
    bench.model.finish()
    assert second.outcomes == []
    assert third.answered
    assert bench.calls[-1].answered, "the answer was kept before it was given"
    first, second, third = (bench.submit(ask(2), timeout=1.0) for _ in range(3))
    first.and_then = lambda: bench.cache.cancel(second)
    bench.loop.advance(1.1)
    assert second.outcomes == []
    assert isinstance(third.error, DeadlineExceeded)
    first, second, third = (bench.submit(ask(3)) for _ in range(3))
    first.and_then = lambda: bench.cache.cancel(second)
    bench.model.fail()
    assert bench.model.calls == [third]


def test_close_forgets_everything(bench: CacheBench) -> None:
    bench.submit()
    bench.model.finish()
    bench.cache.close()
    assert len(bench.share) == 0
    assert bench.loop.timers == 0


def test_calls_of_other_kinds_do_not_meet(bench: CacheBench) -> None:
    body = b'{"inputs":["a"]}'
    bench.submit(body, format=Format.PREDICT_ALL)
    bench.submit(body, format=Format.V1_JSON)
    assert len(bench.model.calls) == 2
    assert isinstance(bench.calls[0], AskedCall)


def test_before_a_real_batcher_the_first_ones_deadline_is_not_the_others() -> None:
    batching = Bench(Batching(max_size=4), slots=1)
    bench = CacheBench(model=batching.batcher, loop=batching.loop)
    first, second = bench.submit(timeout=0.05), bench.submit(timeout=60.0)
    bench.loop.advance(1.0)
    assert isinstance(first.error, DeadlineExceeded)
    batching.workers.finish()
    assert second.answered == ask()
    assert batching.outcomes() == {"ok": 1}
    gone = [bench.submit(ask(2)) for _ in range(2)]
    for call in gone:
        bench.cache.cancel(call)
    bench.loop.advance(1.0)
    assert batching.outcomes() == {"ok": 1, "cancelled": 1}
    failed = [bench.submit(ask(3)) for _ in range(3)]
    bench.loop.turn()
    batching.workers.finish(errors={0: ModelError("raised")})
    assert isinstance(failed[0].error, ModelError)
    bench.loop.turn()
    batching.workers.finish()
    assert [call.answered for call in failed[1:]] == [ask(3)] * 2
