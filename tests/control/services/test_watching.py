"""Steps from scan to scan: nothing is lost by a bad edit, and nothing is told twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from shoal.control.services.scanning import Key, Scan
from shoal.control.services.watching import Refusal, Step, Watcher
from shoal.core.service import Service


def service(name: str, replicas: int = 1) -> Service:
    return Service(name=name, model=name, replicas=replicas)


def key(name: str) -> Key:
    return ("default", name, "production")


def scan(*, wrong: tuple[str, ...] = (), readable: bool = True, **replicas: int) -> Scan:
    files = {f"{name}.yaml": {key(name): service(name, number)} for name, number in replicas.items()}
    return Scan(files, {f"{name}.yaml": "wrong" for name in wrong}, readable)


def do(watcher: Watcher, step: Step) -> Step:
    for each in step.puts:
        watcher.done(key(each.name), each)
    for gone in step.deletes:
        watcher.done(gone, None)
    return step


def settle(watcher: Watcher, now: Scan) -> Step:
    watcher.step(now)
    return do(watcher, watcher.step(now))


def started(now: Scan) -> Watcher:
    watcher = Watcher()
    do(watcher, watcher.step(now))
    return watcher


def test_all_is_put_at_start() -> None:
    watcher = Watcher()
    assert watcher.step(scan(a=1, b=2)) == Step(puts=(service("a"), service("b", 2)))


def test_what_changed_since_an_earlier_run_is_done_at_start() -> None:
    watcher = Watcher({key("a"): service("a"), key("b"): service("b"), key("c"): service("c")})
    assert watcher.step(scan(a=1, b=2)) == Step(puts=(service("b", 2),), deletes=(key("c"),))


def test_of_an_earlier_run_nothing_is_deleted_while_a_file_is_wrong() -> None:
    watcher = Watcher({key("a"): service("a")})
    assert do(watcher, watcher.step(scan(wrong=("a",)))) == Step(refusals=(Refusal("a.yaml", "wrong"),))
    assert settle(watcher, scan()) == Step(deletes=(key("a"),))


def test_changes_wait_until_two_scans_agree() -> None:
    watcher = started(scan(a=1))
    for number in (2, 3, 4):
        assert watcher.step(scan(a=number)) == Step()
    assert do(watcher, watcher.step(scan(a=4))) == Step(puts=(service("a", 4),))
    assert watcher.step(scan(a=4)) == Step()


def test_a_bad_edit_keeps_what_was_there_and_is_told_once() -> None:
    watcher = started(scan(a=1, b=1))
    assert settle(watcher, scan(b=1, wrong=("a",))) == Step(refusals=(Refusal("a.yaml", "wrong"),))
    assert settle(watcher, scan(b=2, wrong=("a",))) == Step(puts=(service("b", 2),))
    assert settle(watcher, scan(a=1, b=2)) == Step()
    assert settle(watcher, scan(b=2, wrong=("a",))).refusals == (Refusal("a.yaml", "wrong"),)
    assert settle(watcher, scan(a=3, b=2)) == Step(puts=(service("a", 3),))


def test_a_file_that_is_gone_takes_its_services_along() -> None:
    watcher = started(scan(a=1, b=1))
    assert settle(watcher, scan(b=1)) == Step(deletes=(key("a"),))


def test_a_service_that_left_its_file_is_deleted_although_another_file_is_wrong() -> None:
    watcher = started(scan(a=1, b=1))
    assert settle(watcher, scan(wrong=("a",))).deletes == (key("b"),)


def test_a_folder_that_cannot_be_read_deletes_nothing() -> None:
    watcher = started(scan(a=1))
    assert settle(watcher, scan(wrong=("folder",), readable=False)).deletes == ()
    assert settle(watcher, scan(a=1)) == Step()


def test_what_could_not_be_done_is_asked_for_again() -> None:
    watcher = Watcher()
    assert watcher.step(scan(a=1)).puts == watcher.step(scan(a=1)).puts == (service("a"),)
    watcher.done(key("a"), service("a"))
    assert watcher.step(scan(a=1)) == Step()
    assert settle(watcher, scan()).deletes == (key("a"),)


def test_a_file_may_be_renamed() -> None:
    watcher = started(scan(a=1))
    assert settle(watcher, Scan({"new.yaml": {key("a"): service("a")}})) == Step()
    assert settle(watcher, Scan(problems={"new.yaml": "wrong"})).deletes == ()


SCANS = st.builds(
    lambda replicas, wrong: scan(wrong=tuple(wrong - replicas.keys()), **replicas),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)),
    st.sets(st.sampled_from("abc")),
)


@given(st.lists(SCANS, min_size=1, max_size=6))
def test_what_is_right_is_done_and_what_is_wrong_stays(scans: list[Scan]) -> None:
    watcher, there = Watcher(), {}
    for now in scans:
        before = dict(there)
        watcher.step(now)
        step = do(watcher, watcher.step(now))
        there |= {key(each.name): each for each in step.puts}
        there = {each: there[each] for each in there if each not in step.deletes}
        if now is scans[0]:
            continue
        for each, kept in now.services.items():
            assert there[each] == kept
        for each in before.keys() - now.services.keys():
            assert (each in there) == (f"{each[1]}.yaml" in now.problems)


class Folder(RuleBasedStateMachine):
    """Any sequence of edits, looked at in between at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = scan()
        self.watcher = Watcher()
        self.registry: dict[Key, Service] = {}
        self.last_good: dict[Key, Service] = {}

    @rule(now=SCANS)
    def edit(self, now: Scan) -> None:
        self.now = now

    @rule(works=st.booleans())
    def look(self, works: bool) -> None:
        step = self.watcher.step(self.now)
        for each in step.puts if works else ():
            self.registry[key(each.name)] = each
            self.watcher.done(key(each.name), each)
        for gone in step.deletes if works else ():
            self.registry.pop(gone)
            self.watcher.done(gone, None)

    @invariant()
    def nothing_is_asked_for_when_all_is_done(self) -> None:
        for _ in range(2):
            self.look(works=True)
        assert self.watcher.step(self.now) == Step()
        for each, wanted in self.now.services.items():
            assert self.registry[each] == wanted


TestFolder = Folder.TestCase
