from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from shoal.core.metrics import Metrics
from shoal.monitor.exposition import CONTENT_TYPE, expose, render


def parsed(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(render(metrics).decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_known_load_comes_out_as_it_went_in() -> None:
    metrics = Metrics()
    requests = metrics.counter("shoal_requests_total", "Requests.", ("model", "code"))
    seconds = metrics.histogram("shoal_seconds", "Time.", ("model",), bounds=(0.1, 1.0))
    workers = metrics.gauge("shoal_workers", "Workers.")
    for _ in range(5):
        requests.labels("iris", "ok").inc()
    requests.labels("iris", "failed").inc(2)
    for value in (0.05, 0.1, 0.5, 7.0):
        seconds.labels("iris").observe(value)
    workers.labels().set(3)

    samples = parsed(metrics)
    assert samples["shoal_requests_total", (("code", "ok"), ("model", "iris"))] == 5
    assert sum(value for (name, _), value in samples.items() if name == "shoal_requests_total") == 7
    buckets = {dict(labels)["le"]: value for (name, labels), value in samples.items() if name == "shoal_seconds_bucket"}
    assert buckets == {"0.1": 2, "1.0": 3, "+Inf": 4}
    assert samples["shoal_seconds_count", (("model", "iris"),)] == 4
    assert samples["shoal_seconds_sum", (("model", "iris"),)] == 7.65
    assert samples["shoal_workers", ()] == 3


@given(st.text(max_size=30).filter(lambda text: "\r" not in text))
def test_label_values_cannot_break_out_of_their_quotes(value: str) -> None:
    metrics = Metrics()
    metrics.counter("x_total", "Help with\nlines and \\.", ("model",)).labels(value).inc()
    text = render(metrics).decode("utf-8", "surrogatepass")
    assert text.count("\n") == 3
    assert list(parsed(metrics)) == [("x_total", (("model", value),))]


def test_a_family_without_children_is_left_out() -> None:
    metrics = Metrics()
    metrics.histogram("shoal_seconds", "Time.")
    assert render(metrics) == b""
    assert CONTENT_TYPE.startswith(b"text/plain; version=0.0.4")


def test_the_process_tells_of_its_own_processor_time_memory_and_files() -> None:
    text, content_type = expose(Metrics())
    assert content_type == CONTENT_TYPE
    names = [line.partition(" ")[0] for line in text.decode().splitlines() if not line.startswith("#")]
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= {*names}
