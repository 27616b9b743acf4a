"""From facts to sentences."""

from __future__ import annotations

from shoal.serving.hosting.why import sentences

TIME = {"batches": 10, "queue_ms": 1.0, "compute_ms": 5.0, "decode_ms": 0.2, "encode_ms": 0.1, "rows_per_batch": 4.0}
ROUTE = {"by": "service iris", "ref": "production", "model": "iris", "namespace": "default", "version": "3"}


def test_a_model_that_answers_says_which_version_and_where_its_time_goes() -> None:
    said = sentences({"state": "READY", "reason": "", "route": ROUTE, "workers_ready": 2, "workers": 3, "time": TIME})
    assert said[0] == "it answers"
    assert said[1].startswith("version 3 is served because service iris says production of model iris")
    assert said[2] == "2 of 3 workers of its own are ready"
    assert "waits 1 ms" in said[3]
    assert "would help" not in said[3]


def test_a_queue_longer_than_the_computing_is_told() -> None:
    said = sentences({"state": "READY", "reason": "", "time": TIME | {"queue_ms": 40.0}})
    assert "more workers or larger batches" in said[-1]


def test_nothing_is_concluded_from_the_first_requests_which_have_waited_for_the_load() -> None:
    said = sentences({"state": "READY", "reason": "", "time": TIME | {"batches": 1, "queue_ms": 1290.4}})
    assert "waits 1,290 ms for its batch" in said[-1]
    assert "would help" not in said[-1]


def test_what_is_kept_apart_says_why() -> None:
    said = sentences({"state": "READY", "reason": "", "time": TIME, "batch_reason": "answers differ"})
    assert "kept apart: answers differ" in said[-1]


def test_what_is_not_ready_says_why_and_who_waits() -> None:
    said = sentences({"state": "LOADING", "reason": "it is loading", "waiting": 3})
    assert said == ["it is loading: it is loading; 3 requests wait for it"]


def test_a_stopped_roll_is_told_before_anything_else_but_the_state() -> None:
    facts = {"state": "READY", "reason": "", "failure": "version 4 is not served", "route": ROUTE}
    assert sentences(facts)[1] == "version 4 is not served"


def test_a_missing_version_and_the_last_eviction_are_told() -> None:
    route = {key: value for key, value in ROUTE.items() if key != "version"}
    events = [{"what": "loaded", "detail": "version 3"}, {"what": "evicted", "detail": "b needed 3 MB"}]
    said = sentences({"state": "READY", "reason": "not in memory", "route": route, "events": events})
    assert said[0] == "not in memory"
    assert said[1].endswith("and there is no such version")
    assert said[2] == "last time it was evicted: b needed 3 MB"


def test_a_failure_that_a_later_load_has_overtaken_is_not_told() -> None:
    failed, evicted = {"what": "failed", "detail": "no such version"}, {"what": "evicted", "detail": "b needed 3 MB"}
    loaded = {"what": "loaded", "detail": "version 3"}
    assert sentences({"state": "READY", "reason": "", "events": [failed, loaded]}) == ["it answers"]
    assert "3 MB" in sentences({"state": "READY", "reason": "", "events": [evicted, failed, loaded]})[-1]
    assert "no such version" in sentences({"state": "READY", "reason": "", "events": [loaded, failed]})[-1]


def test_seats_are_told_as_the_pool_says_them() -> None:
    assert sentences({"state": "READY", "reason": "", "seats": ["in worker 1 of pool shared"]})[-1].startswith(
        "in worker"
    )


def test_what_workers_are_confined_without_is_told_if_nothing_makes_up_for_it() -> None:
    missing = {"files": "this kernel has no Landlock", "own_user": "not root"}
    facts = {"state": "READY", "reason": "", "confinement": {"level": "basic", "missing": missing, "weaker": True}}
    assert sentences(facts)[1] == (
        "its workers are confined without files (this kernel has no Landlock); own_user (not root)"
    )
    facts["confinement"] = {"level": "basic", "missing": {"own_user": "not root"}, "weaker": False}
    assert sentences(facts) == ["it answers"]


def test_workers_elsewhere_are_told_by_their_hosts() -> None:
    hosts = {"b": {"workers": 0, "refused": "its files are others"}, "a": {"workers": 2}}
    said = sentences({"state": "READY", "reason": "", "workers_ready": 2, "hosts": hosts})
    assert said[1] == "its workers are at hosts: a (2); b does not run it: its files are others"
    said = sentences({"state": "UNAVAILABLE", "reason": "x", "workers_ready": 0, "hosts": {}})
    assert said[1] == "no host has a worker for it"
