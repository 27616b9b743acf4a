"""From facts to sentences: why a model is slow, not ready, not in memory, refused, or where it sits. Pure.

Facts are what `core.ports.Models.explain` collects; each rule looks at some of them and says something or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Facts = Mapping[str, Any]

LONG_QUEUE = 2.0
"""Times its computing that a request may wait before that is worth a word."""
FEW_BATCHES = 10
"""Of fewer batches nothing is concluded: the first requests have waited for the model to be loaded."""
TOLD_EVENTS = ("evicted", "failed", "roll_stopped", "refused")
OVERTAKEN = ("loaded", "rolled")
"""After one of these, an earlier failure is of no interest any more."""


def sentences(facts: Facts) -> list[str]:
    """What there is to say, the most important first; at least where it stands."""
    rules = (_state, _failure, _version, _place, _confinement, _time, _last_event)
    return [text for rule in rules if (text := rule(facts))]


def _state(facts: Facts) -> str:
    state, reason = facts.get("state"), facts.get("reason")
    if state == "READY":
        return str(reason) if reason else "it answers"
    waiting = facts.get("waiting")
    held = f"; {waiting} requests wait for it" if waiting else ""
    return f"it is {str(state).lower()}: {reason or 'no reason is known'}{held}"


def _failure(facts: Facts) -> str:
    failure = facts.get("failure")
    return str(failure) if failure and failure != facts.get("reason") else ""


def _version(facts: Facts) -> str:
    route = facts.get("route") or {}
    if not route:
        return ""
    said = f"{route['by']} says {route['ref']} of model {route['model']} in namespace {route['namespace']}"
    if "version" not in route:
        return f"{said}, and there is no such version"
    return f"version {route['version']} is served because {said}"


def _place(facts: Facts) -> str:
    seats = facts.get("seats")
    if seats:
        return "; ".join(str(each) for each in seats)
    if "workers_ready" not in facts:
        return ""
    ready, wanted = facts["workers_ready"], facts.get("workers", facts["workers_ready"])
    if "hosts" in facts:
        return _at_hosts(facts["hosts"])
    return f"{ready} of {wanted} workers of its own are ready"


def _at_hosts(hosts: Mapping[str, Mapping[str, Any]]) -> str:
    there = [f"{name} ({facts['workers']})" for name, facts in sorted(hosts.items()) if facts["workers"]]
    said = f"its workers are at hosts: {', '.join(there)}" if there else "no host has a worker for it"
    refused = [
        f"; {name} does not run it: {facts['refused']}" for name, facts in sorted(hosts.items()) if "refused" in facts
    ]
    return said + "".join(refused)


def _confinement(facts: Facts) -> str:
    said = facts.get("confinement") or {}
    if not said.get("weaker"):
        return ""
    missing = "; ".join(f"{name} ({why})" for name, why in sorted(said["missing"].items()))
    return f"its workers are confined without {missing}"


def _time(facts: Facts) -> str:
    time = facts.get("time") or {}
    if not time.get("batches"):
        return ""
    queue, compute = time["queue_ms"], time["compute_ms"]
    other = time["decode_ms"] + time["encode_ms"]
    said = (
        f"a request waits {_figure(queue)} ms for its batch, which takes {_figure(compute)} ms to compute and "
        f"{_figure(other)} ms to decode and encode, with {_figure(time['rows_per_batch'])} rows on average"
    )
    if facts.get("batch_reason"):
        return f"{said}; requests are kept apart: {facts['batch_reason']}"
    if time["batches"] >= FEW_BATCHES and queue > LONG_QUEUE * max(compute + other, 0.1):
        return f"{said}: it waits longer than it computes, so more workers or larger batches would help"
    return said


def _figure(number: float) -> str:
    """Three figures, and never an exponent."""
    return f"{number:.3g}" if number < 999.5 else f"{number:,.0f}"


def _last_event(facts: Facts) -> str:
    mended = False
    for event in reversed(facts.get("events") or []):
        mended = mended or event["what"] in OVERTAKEN
        if mended and event["what"] != "evicted":
            continue
        if event["what"] in TOLD_EVENTS and event["detail"] != facts.get("failure"):
            return f"last time it was {event['what'].replace('_', ' ')}: {event['detail']}"
    return ""
