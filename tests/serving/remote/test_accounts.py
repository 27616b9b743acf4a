"""Which host is next, and what is under way where: never more than a host allows, and nothing is lost from sight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.remote.accounts import MOST_LOSSES, Account, blames_job, next_of
from shoal.serving.remote.shares import shares

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 32)),
        st.tuples(st.just("end"), st.integers(0, 50)),
        st.tuples(st.just("slots"), st.integers(0, 3), st.integers(0, 6)),
        st.tuples(st.just("close"), st.integers(0, 3), st.booleans()),
    ),
    max_size=200,
)


@given(STEPS)
def test_no_host_gets_more_than_it_allows_and_each_job_ends_once(steps: list[tuple[object, ...]]) -> None:
    accounts: list[Account[str]] = [Account() for _ in range(4)]
    under_way: dict[int, Account[str]] = {}
    number = 0
    for what, *values in steps:
        if what == "send":
            before = [each.free for each in accounts]
            chosen = next_of(accounts)
            assert (chosen is None) == (sum(before) == 0)
            if chosen is not None:
                assert not chosen.closed
                assert len(chosen.jobs) < chosen.slots
                if any(each.free and each.ahead == 0 for each in accounts):
                    assert chosen.ahead == 0
                number += 1
                chosen.begin(number, str(number), int(str(values[0])))
                under_way[number] = chosen
        elif what == "end" and under_way:
            ended = sorted(under_way)[int(str(values[0])) % len(under_way)]
            at = under_way.pop(ended)
            assert at.job(ended) == str(ended)
            at.end(ended)
            assert at.job(ended) is None
        elif what == "slots":
            account = accounts[int(str(values[0]))]
            account.slots = int(str(values[1]))
            account.workers = (account.slots + 1) // 2
        elif what == "close":
            accounts[int(str(values[0]))].closed = bool(values[1])
        assert all(each.free >= 0 for each in accounts)
        assert {key for each in accounts for key, _ in each.under_way()} == set(under_way)


def test_equal_hosts_take_turns_and_a_new_one_is_next() -> None:
    accounts: list[Account[str]] = [Account() for _ in range(3)]
    for each in accounts[:2]:
        each.slots, each.workers = 2, 1
    order = []
    for number in range(1, 7):
        if number == 5:
            accounts[2].slots, accounts[2].workers = 2, 1
        chosen = next_of(accounts)
        assert chosen is not None
        order.append(accounts.index(chosen))
        chosen.begin(number, "", 1)
        chosen.end(number)
    assert order == [0, 1, 0, 1, 2, 0]


def test_rows_in_front_are_those_of_the_job_at_work() -> None:
    account: Account[str] = Account()
    account.slots, account.workers = 4, 2
    for number, rows in enumerate((8, 4, 2), start=1):
        assert account.ahead == (0 if number < 3 else 8)
        account.begin(number, "", rows)
    account.end(1)
    assert account.ahead == 4


@given(st.integers(1, 10), st.booleans(), st.booleans())
def test_a_lost_host_is_no_proof_against_what_may_run_again(losses: int, pure: bool, aside: bool) -> None:
    assert blames_job(losses, pure=pure, aside=aside) == (not pure or aside or losses > MOST_LOSSES)


@given(st.integers(0, 64), st.dictionaries(st.integers(0, 20), st.booleans(), max_size=12))
def test_workers_are_shared_by_those_who_send(total: int, active: dict[int, bool]) -> None:
    given_ = shares(total, active)
    assert given_.keys() == active.keys()
    if not total:
        assert not any(given_.values())
        return
    assert all(each >= 1 for each in given_.values())
    assert sum(given_.values()) <= total + len(active)
    busy = {given_[key] for key, sends in active.items() if sends}
    assert len(busy) <= 1
    if busy:
        assert busy.pop() * sum(active.values()) >= total


def test_who_is_alone_has_all_of_it() -> None:
    assert shares(8, {"a": True}) == {"a": 8}
    assert shares(8, {"a": True, "b": False}) == {"a": 8, "b": 1}
    assert shares(8, {"a": True, "b": True}) == {"a": 4, "b": 4}
