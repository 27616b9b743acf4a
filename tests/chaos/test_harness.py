"""The harness itself: whatever must not be is found, and nothing else is."""

from __future__ import annotations

import os
import socket
import threading
from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.harness.accounts import counted, differences
from chaos.harness.footprint import Footprint, grown, measure
from chaos.harness.ledger import Ask, Ledger, canary, strangers
from chaos.harness.relay import Harm, Kind, chaos_relay

OUTCOMES = st.sampled_from(["ok", "lost", "left", "overloaded", "internal"])


def ask(number: int, *outcomes: str) -> Ask:
    return Ask("m", canary(number), frozenset((f"ok:{canary(number)}",)), frozenset(outcomes or ("ok",)))


@given(st.lists(OUTCOMES, max_size=20))
def test_a_ledger_counts_each_outcome_once_and_finds_those_that_are_wrong(outcomes: list[str]) -> None:
    book = Ledger()
    entries = [book.enter(ask(number), due=0.0, timeout=1.0) for number in range(len(outcomes))]
    assert len(book.open) == len(outcomes)
    for number, (entry, outcome) in enumerate(zip(entries, outcomes, strict=True)):
        book.end(entry, outcome, f"ok:{canary(number)}", now=0.5)
    assert not book.open
    assert book.outcomes == Counter(outcomes)
    wrong = [each for each in outcomes if each != "ok"]
    assert len(book.faults) == len(wrong) + wrong.count("internal")


@pytest.mark.parametrize(
    ("outcome", "told", "now", "said"),
    [
        ("ok", f"ok:{canary(2)}", 0.5, "answered wrongly"),
        ("ok", f"ok:{canary(2)}", 0.5, "was told of"),
        ("overloaded", "come again", 0.5, "ended with overloaded"),
        ("hang", "", 9.0, "hangs"),
        ("ok", f"ok:{canary(1)}", 1.3, "after its deadline"),
    ],
)
def test_a_ledger_says_what_is_wrong(outcome: str, told: str, now: float, said: str) -> None:
    book = Ledger()
    book.end(book.enter(ask(1), 0.0, 1.0), outcome, told, now)
    assert any(said in fault for fault in book.faults), book.faults


def test_two_outcomes_of_one_request_are_found() -> None:
    book = Ledger()
    entry = book.enter(ask(1), 0.0, 1.0)
    book.end(entry, "ok", f"ok:{canary(1)}", 0.1)
    assert not book.faults
    book.end(entry, "ok", f"ok:{canary(1)}", 0.2)
    assert "two outcomes" in book.faults[0]


def test_a_generator_that_is_late_itself_blames_nobody() -> None:
    book = Ledger(lag=0.5)
    book.end(book.enter(ask(1), 0.0, 1.0), "ok", f"ok:{canary(1)}", 2.0)
    assert not book.faults


def test_canaries_are_found_wherever_they_are() -> None:
    assert strangers(f"a line with {canary(7)}\nand {canary(8)}") == [canary(7), canary(8)]
    assert strangers("canary-1") == []


codes = st.dictionaries(st.sampled_from("abc"), st.integers(1, 5)).map(Counter)


@given(codes, codes, st.integers(0, 3))
def test_accounts_agree_only_if_nothing_is_missing_and_nothing_unexplained(
    told: Counter[str], more: Counter[str], untold: int
) -> None:
    assert (differences(told + more, told, untold) == []) == (more.total() <= untold)
    assert (differences(told, told + more, untold) == []) == (not more)


def test_accounts_are_read_from_the_metrics() -> None:
    text = (
        'shoal_requests_total{model="a",outcome="ok",version=""} 3.0\n'
        'shoal_requests_total{model="b",outcome="ok",version=""} 1.0\n'
        'shoal_refused_total{code="not_found"} 2.0\nshoal_requests_created{outcome="ok"} 9.0\n'
    )
    assert counted(text) == {"ok": 4, "not_found": 2}


def test_what_has_grown_is_told_and_missing_workers_too() -> None:
    was = Footprint(100, 20, 3, 0, 2, 0, frozenset("a"))
    assert grown(was, Footprint(110, 22, 4, 0, 2, 0)) == []
    assert len(grown(was, Footprint(200, 40, 30, 1, 3, 1, frozenset("ab")))) == 7
    assert grown(was, Footprint(100, 20, 3, 0, 1, 0, frozenset("b"))) == ["workers: 2 became 1"]


def test_a_footprint_sees_files_threads_and_what_is_temporary(tmp_path: Path) -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    before = measure(os.getpid(), tmp_path)
    thread.start()
    with (tmp_path / "left").open("w"):
        after = measure(os.getpid(), tmp_path)
    over.set()
    thread.join()
    assert (after.threads - before.threads, after.descriptors - before.descriptors) == (1, 1)
    assert after.temporary == {"left"}


# The relay


def echo_server(listening: socket.socket, count: int) -> None:
    """Gives each of so many connections back what it sends, until its end."""
    for _ in range(count):
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(10)
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                continue


def through(harm: Harm, data: bytes, seconds: float = 0.3) -> tuple[bytes, str]:
    """What comes back through the relay, and how it ends."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=echo_server, args=(listening, 1))
        server.start()
        with chaos_relay(listening.getsockname()[1], lambda random: harm, 1) as relay:
            found, end = bytearray(), "end"
            with socket.create_connection(("127.0.0.1", relay.port), timeout=seconds) as link:
                try:
                    link.sendall(data)
                    link.shutdown(socket.SHUT_WR)
                    while piece := link.recv(65536):
                        found += piece
                except TimeoutError:
                    end = "open"
                except OSError:
                    end = "reset"
        server.join()
    return bytes(found), end


@pytest.mark.parametrize("answers", [False, True])
@pytest.mark.parametrize(
    ("kind", "back", "end"),
    [
        ("open", b"0123456789", "end"),
        ("stall", b"0123", "open"),
        ("truncate", b"0123", "end"),
        ("trickle", b"0123456789", "end"),
    ],
)
def test_a_relay_does_what_it_is_told(kind: Kind, back: bytes, end: str, answers: bool) -> None:
    seconds = 0.3 if kind == "stall" else 10
    assert through(Harm(kind, 4, answers=answers), b"0123456789", seconds) == (back, end)


def test_a_relay_resets_and_corrupts() -> None:
    assert through(Harm("reset", 4), b"0123456789", 10)[1] == "reset"
    found, _ = through(Harm("corrupt", 4), b"0123456789", 10)
    assert [number for number in range(10) if found[number] != b"0123456789"[number]] == [4]
    assert bin(found[4] ^ ord("4")).count("1") == 1


def test_delay_keeps_the_order() -> None:
    data = bytes(Random(1).randbytes(100_000))
    assert through(Harm(delay=0.001, jitter=0.002), data, 10) == (data, "end")
