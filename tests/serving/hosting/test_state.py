"""The last good routes on disk."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from shoal.core.registry import FileEntry, Manifest
from shoal.core.routes import Change, Route, Target
from shoal.core.service import Autoscaling, Download, Service
from shoal.serving.hosting.state import RouteState
from support.trouble import fill, small_disk


def route(name: str, version: str = "1", *, implicit: bool = False, model: str = "", **changes: object) -> Route:
    service = Service(name=name, model=model or name, **changes)  # type: ignore[arg-type]
    files = (FileEntry("model.joblib", 3, "0" * 64),)
    target = Target(namespace="default", model=service.model, version=version, digest="d", manifest=Manifest(files))
    return Route(service=service, target=target, implicit=implicit)


def change(kind: str, name: str, namespace: str = "default") -> Change:
    return Change(number=1, kind=kind, namespace=namespace, name=name)  # type: ignore[arg-type]


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    state = RouteState(tmp_path / "routes.db")
    state.put(("iris", ""), route("iris", "3"))
    state.position = 12
    state.close()
    again = RouteState(tmp_path / "routes.db")
    assert again.get(("iris", "")) == (route("iris", "3"), False)
    assert again.position == 12
    again.close()


def test_changes_touch_the_addresses_that_they_concern() -> None:
    state = RouteState(None)
    state.put(("iris", ""), route("iris"))
    state.put(("iris", "2"), route("iris", "2"))
    state.put(("flowers", ""), route("flowers", model="iris"))
    state.put(("wine", ""), route("wine", implicit=True))
    assert set(state.touch([change("model", "iris")])) == {("iris", ""), ("iris", "2"), ("flowers", "")}
    assert state.get(("wine", "")) == (route("wine", implicit=True), False)
    stale = state.get(("flowers", ""))
    assert stale is not None
    assert stale[1]
    assert set(state.touch([change("service", "wine")])) == {("wine", "")}
    assert len(state.touch([change("namespace", "")])) == 4
    assert state.touch([change("model", "iris", "other")]) == []
    state.close()


def test_a_change_of_a_model_whose_files_are_fetched_touches_the_service_too() -> None:
    state = RouteState(None)
    download = Download(namespace="tools", model="tokens", ref="production", dest_path="/t")
    state.put(("iris", ""), route("iris", downloads=(download,)))
    assert state.touch([change("model", "tokens", "tools")]) == [("iris", "")]
    assert state.touch([change("namespace", "", "tools")]) == [("iris", "")]
    state.close()


def test_only_what_runs_without_being_called_is_desired() -> None:
    state = RouteState(None)
    runs = [route("two", replicas=2), route("pinned", placement="shared", pinned=True)]
    others = [
        route("none", replicas=0),
        route("shared", placement="shared"),
        route("zero", autoscaling=Autoscaling(min_replicas=0, max_replicas=3)),
        route("implicit", implicit=True),
    ]
    for each in (*runs, *others):
        state.put((each.service.name, ""), each)
    assert {each.service.name for each in state.desired()} == {"two", "pinned"}
    state.close()


def test_a_layout_that_is_not_ours_is_made_anew(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "routes.db")
    other.executescript("CREATE TABLE routes (x); PRAGMA user_version=99;")
    other.close()
    state = RouteState(tmp_path / "routes.db")
    assert state.desired() == []
    state.close()


def test_a_route_that_cannot_be_read_is_forgotten(tmp_path: Path) -> None:
    state = RouteState(tmp_path / "routes.db")
    state.put(("iris", ""), route("iris"))
    state._db.execute("UPDATE routes SET route = x'c1'")
    assert state.get(("iris", "")) is None
    state.close()


def test_a_full_disk_is_survived_and_nothing_stale_is_taken_for_good(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "192k") as disk:
        key = ("iris", "")
        state = RouteState(disk / "routes.db")
        state.put(key, route("iris", "1"))
        state.position = 1
        filler = fill(disk)
        changed = [change("model", "iris")]
        for number in range(2, 600):
            assert key in state.touch(changed)
            state.put(key, route("iris", str(number)))
            state.position = number
        known = state.get(key)
        assert known is not None
        assert known[1], "what is on disk is not the last word"
        assert state.position == 599
        state.close()

        again = RouteState(disk / "routes.db")
        assert again.position < 599, "what was missed is told again"
        filler.unlink()
        again.touch(changed)
        again.put(key, route("iris", "600"))
        again.position = 600
        again.close()
        last = RouteState(disk / "routes.db")
        assert (last.position, last.get(key)) == (600, (route("iris", "600"), False))
        last.close()
