"""The metrics of several processes as one text: nothing is lost, nothing is added up, each sample says whose it is."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from shoal.core.metrics import Metrics
from shoal.monitor.exposition import render
from shoal.monitor.merging import merged

Sample = tuple[str, tuple[tuple[str, str], ...], float]

FAMILIES = st.sampled_from(["shoal_a_total", "shoal_b_total", "shoal_c_total"])
LABELS = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)
COUNTS = st.dictionaries(FAMILIES, st.dictionaries(LABELS, st.integers(1, 9), max_size=3), max_size=3)
PROCESSES = st.dictionaries(st.sampled_from(["gateway-1", "gateway-2", "proxy-1"]), COUNTS, max_size=3)


def text_of(counts: dict[str, dict[str, int]]) -> bytes:
    metrics = Metrics()
    for name, children in counts.items():
        family = metrics.counter(name, f'Help of {name} with {{braces}} and "quotes".', ("model",))
        for label, count in children.items():
            family.labels(label).inc(count)
    metrics.gauge("shoal_open", "A family without labels.").labels().set(3)
    metrics.histogram("shoal_seconds", "A histogram.", bounds=(0.1, 1.0)).labels().observe(0.5)
    return render(metrics)


def samples(text: bytes) -> Counter[Sample]:
    families = list(text_string_to_metric_families(text.decode()))
    assert len({family.name for family in families}) == len(families), "a family is told twice"
    return Counter(
        (sample.name, tuple(sorted(sample.labels.items())), sample.value)
        for family in families
        for sample in family.samples
    )


@given(PROCESSES)
def test_every_sample_of_every_process_is_there_once_and_says_whose_it_is(
    processes: dict[str, dict[str, dict[str, int]]],
) -> None:
    texts = {name: text_of(counts) for name, counts in processes.items()}
    wanted = Counter(
        (name, tuple(sorted([*labels, ("process", process)])), value)
        for process, text in texts.items()
        for name, labels, value in samples(text)
    )
    assert samples(merged(texts)) == wanted


def test_a_family_is_told_with_its_help_and_type_in_one_piece() -> None:
    one, two = text_of({"shoal_a_total": {"x": 1}}), text_of({"shoal_a_total": {"y": 2}})
    lines = merged({"gateway-1": one, "proxy-1": two}).decode().splitlines()
    at = lines.index("# TYPE shoal_a_total counter")
    assert lines[at - 1].startswith("# HELP shoal_a_total")
    assert lines[at + 1 : at + 3] == [
        'shoal_a_total{process="gateway-1",model="x"} 1.0',
        'shoal_a_total{process="proxy-1",model="y"} 2.0',
    ]


def test_nothing_is_made_of_nothing() -> None:
    assert merged({}) == merged({"proxy-1": b""}) == b""
