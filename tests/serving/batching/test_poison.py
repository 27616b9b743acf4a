from __future__ import annotations

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
