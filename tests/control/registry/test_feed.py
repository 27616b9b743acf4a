from __future__ import annotations

import threading

from shoal.control.registry import Registry
from support.registrations import new


def test_changes_come_in_order_and_in_parts(registry: Registry) -> None:
    for name in "abcde":
        registry.register(new(name))
    part = registry.changes(0, limit=2)
    assert [each.name for each in part.changes] == ["a", "b"]
    rest = registry.changes(part.position)
    assert [each.name for each in rest.changes] == ["c", "d", "e"]
    assert rest.position == registry.position() == 5
    assert registry.changes(5).changes == ()
    assert not registry.changes(5).reset


def test_a_reader_behind_what_is_kept_starts_again(registry: Registry) -> None:
    for name in "abcde":
        registry.register(new(name))
    registry.trim_feed(2)
    assert registry.changes(2).reset
    assert registry.changes(2).position == 5
    assert [each.name for each in registry.changes(3).changes] == ["d", "e"]
    registry.trim_feed(10)
    assert not registry.changes(3).reset
    registry.trim_feed(0)
    assert registry.changes(4).reset
    assert not registry.changes(5).reset


def test_a_reader_ahead_of_the_feed_starts_again(registry: Registry) -> None:
    assert registry.changes(1).reset
    assert registry.changes(-1).reset


def test_after_renumbering_everybody_starts_again_once(registry: Registry) -> None:
    registry.register(new())
    registry.renumber_feed()
    told = registry.changes(1)
    assert told.reset
    assert told.position > 1_000_000
    registry.register(new("wine"))
    (change,) = registry.changes(told.position).changes
    assert (change.number, change.name) == (told.position + 1, "wine")


def test_a_failed_change_takes_no_number(registry: Registry) -> None:
    with registry._writing("ann") as writing:
        writing.changed("model", "default", "a")
    try:
        with registry._writing("ann") as writing:
            writing.changed("model", "default", "b")
            writing.finish()
            raise KeyError
    except KeyError:
        pass
    assert registry.position() == 1


def test_who_has_seen_a_number_never_meets_an_earlier_one_later(registry: Registry) -> None:
    writers = [
        threading.Thread(target=lambda at=at: [registry.register(new(f"m{at}-{n}")) for n in range(8)])
        for at in range(6)
    ]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    while any(writer.is_alive() for writer in writers) or registry.position() > (seen[-1] if seen else 0):
        seen += [each.number for each in registry.changes(seen[-1] if seen else 0).changes]
    for writer in writers:
        writer.join()
    assert seen == list(range(1, 49))
