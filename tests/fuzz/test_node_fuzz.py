"""A whole node under requests that its own description allows, or nearly: clear answers, nothing grows, nobody dies.

Short by default; `SHOAL_FUZZ_ROUNDS=100` repeats it that often, with other seeds. The long form is marked slow. Mutated
requests and mutated streams of bytes are a campaign (`chaos/test_inputs.py`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from fuzz.node_inputs import ALLOWED, ask
from shoal.testing.node import RunningNode, serve
from support.faulty_models import faulty_model
from support.processes import descriptors, resident_bytes, workers

pytestmark = [pytest.mark.process, pytest.mark.timeout(1800)]

ROUNDS = [
    pytest.param(int(os.environ.get("SHOAL_FUZZ_ROUNDS", "1")), id="short"),
    pytest.param(20, id="long", marks=pytest.mark.slow),
]
CASES = 200
GROWTH = 8 * 1024 * 1024


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    folder = tmp_path_factory.mktemp("fuzzed")
    faulty_model(folder, "oracle", kind="OracleModel")
    faulty_model(folder, "arrays", kind="FaultArrays")
    with serve(folder) as running:
        yield running


@pytest.fixture
def unhurt(node: RunningNode) -> Iterator[RunningNode]:
    """The node; afterwards it must be what it was: the same processes, alive, no fatter, with no more open files."""
    assert _status(node, "/v2") == 200
    before, files, memory = workers(node.process.pid), descriptors(node.process.pid), resident_bytes(node.process.pid)
    yield node
    assert node.process.poll() is None
    assert workers(node.process.pid) == before
    assert resident_bytes(node.process.pid) - memory < GROWTH
    assert _status(node, "/v2/health/ready") == 200
    assert descriptors(node.process.pid) <= files + 4
    assert "Traceback" not in _own_log(node), _own_log(node)[-4000:]


def _own_log(node: RunningNode) -> str:
    """What the node says of itself, without what its models say: those may raise, and show where."""
    return "\n".join(line for line in node.log().splitlines() if "  model=" not in line)


def _status(node: RunningNode, path: str) -> int:
    with closing(HTTPConnection("127.0.0.1", node.port, timeout=10)) as link:
        return ask(link, "GET", path, b"", {})[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("rounds", ROUNDS)
def test_the_node_keeps_to_its_openapi(unhurt: RunningNode, rounds: int) -> None:
    schema = schemathesis.openapi.from_url(f"{unhurt.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    calm = [each for each in operations if "/load" not in each.path and "/unload" not in each.path]
    assert calm
    for operation in calm:
        _try_cases(operation, max(2, CASES * rounds // len(calm)))


def _try_cases(operation: Any, count: int) -> None:
    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def run(case: Any) -> None:
        response = case.call(timeout=20)
        assert response.status_code < 500 or response.status_code in ALLOWED, (case.as_curl_command(), response.content)

    run()
