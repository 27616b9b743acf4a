"""What a node does when its memory, or what waits in it, comes near the end: in virtual time, with real batchers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shoal.core.clock import ManualClock
from shoal.core.errors import Overloaded
from shoal.core.metrics import Metrics
from shoal.core.model import Batching
from shoal.node.memory import used_of
from shoal.node.pressure import LOOK_SECONDS, PressureWatch
from support.fake_workers import Bench


class World:
    """Two models whose workers take nothing, and a watch."""

    def __init__(self, waiting: int = 1_000_000) -> None:
        self.small, self.large = (Bench(Batching(max_size=4), slots=0) for _ in range(2))
        self.used = 0.0
        self.shrunk: list[bool] = []
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.watch = PressureWatch(
            lambda: (self.small.batcher, self.large.batcher),
            self.shrunk.append,
            used=lambda: self.used,
            waiting=waiting,
            metrics=self.metrics,
            clock=self.clock,
        )

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.now += LOOK_SECONDS
            self.watch.look()

    @property
    def stage(self) -> float:
        return self.metrics.families[0].children[()].value  # type: ignore[union-attr]


def is_shed(bench: Bench, level: int) -> bool:
    (call,) = bench.submit(1, level=level)
    return bool(call.outcomes) and isinstance(call.outcomes[0], Overloaded)


def test_first_goes_what_can_wait_then_room_then_the_largest_queue() -> None:
    world = World()
    world.large.submit(100, body=b"x" * 1000)
    world.small.submit(10, body=b"x" * 1000)
    world.used = 0.72
    world.look()
    assert (world.stage, world.shrunk) == (1, [])
    assert [is_shed(world.small, level) for level in (1, 2, 3)] == [False, True, True]
    world.used = 0.88
    world.look()
    assert (world.stage, world.shrunk) == (2, [True])
    world.used = 0.97
    before = world.large.batcher.waiting_bytes
    world.look()
    assert world.stage == 3
    assert world.large.batcher.waiting_bytes <= before // 2
    assert world.small.batcher.waiting_bytes > 10_000


def test_when_it_is_over_everything_is_taken_again_within_ten_seconds_without_an_operator() -> None:
    world = World()
    world.used = 1.0
    world.look(20)
    world.used = 0.4
    world.look(int(10 / LOOK_SECONDS))
    assert (world.stage, world.shrunk) == (0, [True, False])
    assert not any(is_shed(bench, level) for bench in (world.small, world.large) for level in (1, 2, 3))


def test_what_waits_in_all_models_together_is_bounded() -> None:
    world = World(waiting=200_000)
    for _ in range(40):
        world.large.submit(10, body=b"x" * 1000)
        world.small.submit(5, body=b"x" * 1000)
        world.look()
        assert world.large.batcher.waiting_bytes + world.small.batcher.waiting_bytes <= 200_000


def test_a_calm_node_tells_nobody_anything() -> None:
    world = World()
    world.used = 0.5
    world.look(100)
    assert not world.small.batcher._entrance.watchful
    assert world.shrunk == []


def test_a_named_limit_counts_the_process_and_its_children() -> None:
    limit = 10 * 1024**3
    used = used_of(limit)
    alone = used() * limit
    code = "import sys; held = bytearray(200 * 1024**2); sys.stdout.write('held'); sys.stdout.flush(); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.read(4)
        with_child = used() * limit
        child.stdin.close()
    assert alone > 10 * 1024**2
    assert 190 * 1024**2 < with_child - alone < 300 * 1024**2


@pytest.mark.parametrize(
    ("files", "used"),
    [
        ({"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 1\ninactive_file 200\n"}, 0.5),
        ({"memory.max": "max", "memory.current": "700", "memory.stat": ""}, 0.0),
        (
            {
                "memory/memory.limit_in_bytes": "1000",
                "memory/memory.usage_in_bytes": "900",
                "memory/memory.stat": "total_inactive_file 100\n",
            },
            0.8,
        ),
        ({"memory/memory.limit_in_bytes": str(2**63 - 4096), "memory/memory.usage_in_bytes": "900"}, 0.0),
        ({}, 0.0),
    ],
)
def test_without_one_the_limit_of_the_cgroup_counts(files: dict[str, str], used: float, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert used_of(None, root=tmp_path)() == pytest.approx(used)
