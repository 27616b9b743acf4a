from __future__ import annotations

from shoal.core.call import Call, Format
from shoal.serving.batching.poison import PoisonTable
from support.calls import RecordedCall


def call(body: bytes) -> RecordedCall:
    return RecordedCall(arrived=0.0, body=body)


def test_an_input_is_known_again_and_its_like_is_not() -> None:
    table = PoisonTable("m/1")
    table.remember(call(b"bad"), 0.0)
    assert table.refuses(call(b"bad"), 1.0)
    assert not table.refuses(call(b"bad "), 1.0)
    assert PoisonTable("m/2").fingerprint(call(b"bad")) != table.fingerprint(call(b"bad"))


def test_it_forgets_in_time_and_is_then_empty() -> None:
    table = PoisonTable("m/1", ttl=10)
    table.remember(call(b"bad"), 0.0)
    assert not table.refuses(call(b"bad"), 10.0)
    assert not table.until


def test_it_is_bounded_and_forgets_the_oldest() -> None:
    table = PoisonTable("m/1", limit=3)
    for number in range(5):
        table.remember(call(b"%d" % number), float(number))
    assert len(table.until) == 3
    assert not table.refuses(call(b"1"), 5.0)
    assert table.refuses(call(b"2"), 5.0)


def test_an_input_is_its_content_with_how_it_is_written() -> None:
    table = PoisonTable("m/1")
    table.remember(call(b"bad"), 0.0)
    other = Call(Format.V2_JSON, b"bad", arrived=0.0, deadline=1.0)
    assert not table.refuses(other, 1.0)
    assert not table.refuses(Call(Format.PREDICT_ALL, b"bad", arrived=0.0, deadline=1.0, json_length=3), 1.0)


def test_who_is_remembered_again_is_remembered_anew() -> None:
    table = PoisonTable("m/1", ttl=10)
    for number in (1, 2, 1):
        table.remember(call(b"%d" % number), 5.0 * len(table.until))
    assert len(table.until) == 2
    assert not table.refuses(call(b"2"), 15.0)
    assert table.refuses(call(b"1"), 15.0)


def test_those_alike_are_found_among_others() -> None:
    table = PoisonTable("m/1")
    calls = [call(body) for body in (b"bad", b"sad", b"badly", b"bad")]
    assert table.alike(calls[0], calls[1:]) == [calls[3]]
    assert table.alike(calls[2], calls[:2]) == []
    assert table.alike(Call(Format.V2_JSON, b"bad", arrived=0.0, deadline=1.0), calls) == []
