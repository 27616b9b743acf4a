from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.driver import DriverError, Load, Request, lua, parse_h2load, parse_wrk, percentile, prefix

WRK = """Running 2s test @ http://127.0.0.1:1/
  Latency     1.00ms
REPORT{"requests":1000,"micros":2000000,"errors":%d,"p50":1500,"p95":2500,"p99":4000}
"""
H2LOAD = "traffic: 1.00KB (%d) total, 10B (10) headers (space savings 90%%), 500B (%d) data\n"


def test_wrk_report_is_read() -> None:
    sample = parse_wrk(WRK % 0)
    assert (sample.rate, sample.p50, sample.p95, sample.p99, sample.requests) == (500, 1.5, 2.5, 4.0, 1000)


def test_errors_are_not_good_answers() -> None:
    sample = parse_wrk(WRK % 100)
    assert (sample.requests, sample.errors, sample.rate) == (900, 100, 450)


def test_wrk_without_a_report_is_a_failure() -> None:
    with pytest.raises(DriverError, match="unable to connect"):
        parse_wrk("unable to connect to 127.0.0.1")


def rows(*times: int, status: int = 200) -> list[str]:
    return [f"1000\t{status}\t{time}" for time in times]


def test_h2load_log_is_read() -> None:
    sample = parse_h2load(H2LOAD % (1000, 400), rows(3000, 1000, 2000, 4000), 2.0, answer_bytes=100)
    assert (sample.rate, sample.p50, sample.p99, sample.requests, sample.errors) == (2, 3.0, 4.0, 4, 0)


def test_h2load_counts_other_statuses_as_errors() -> None:
    sample = parse_h2load(H2LOAD % (1000, 400), rows(1000) + rows(1000, 1000, status=503), 1.0, None)
    assert (sample.requests, sample.errors) == (1, 2)


def test_grpc_errors_behind_status_200_are_noticed_by_the_missing_data() -> None:
    with pytest.raises(DriverError, match="some were errors"):
        parse_h2load(H2LOAD % (1000, 300), rows(1, 2, 3, 4), 1.0, answer_bytes=100)


def test_h2load_without_answers_has_no_rate() -> None:
    assert parse_h2load("", [], 1.0, None).requests == 0


def test_percentiles_are_of_the_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert percentile(ordered, 0.5) == 51
    assert percentile(ordered, 0.99) == 100
    assert percentile([7.0], 0.99) == 7


def test_the_script_carries_headers_and_body() -> None:
    request = Request("http://127.0.0.1:1/", Path("/tmp/a b"), (("content-type", 'a "b"'),))
    script = lua(request)
    assert 'io.open("/tmp/a b", "rb")' in script
    assert r'wrk.headers["content-type"] = "a \"b\""' in script
    assert "REPORT" in script


def test_generators_are_pinned_and_niced_when_asked() -> None:
    assert prefix(Load(1, 1, core=1, nice=10)) == ["taskset", "-c", "1", "nice", "-n", "10"]
    assert prefix(Load(1, 1, core=None)) == []
