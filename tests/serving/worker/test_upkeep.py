"""Memory of a worker when models come and go."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.serving.worker import upkeep
from shoal.serving.worker.footprint import file_bytes
from shoal.serving.worker.upkeep import LARGE, SWITCH_SECONDS, TRIM, SharedUpkeep, Upkeep


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    yield
    gc.unfreeze()


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    monkeypatch.setattr(upkeep, "give_back", lambda: calls.append(1))
    return calls


def test_a_dedicated_worker_settles_around_each_model(trims: list[int]) -> None:
    settled: list[int] = []
    kept = Upkeep(lambda: settled.append(1))
    with kept.loading():
        kept.loaded(1)
    kept.unloaded(1)
    assert (len(settled), len(trims), kept.due) == (2, 1, False)


def test_while_a_shared_worker_loads_nothing_is_collected_and_the_other_thread_gets_its_turn() -> None:
    before = sys.getswitchinterval()
    with SharedUpkeep(threading.Lock()).loading():
        assert not gc.isenabled()
        assert sys.getswitchinterval() == pytest.approx(SWITCH_SECONDS)
    assert gc.isenabled()
    assert sys.getswitchinterval() == pytest.approx(before)


def test_only_large_models_are_left_out_of_collections() -> None:
    kept = SharedUpkeep(threading.Lock())
    kept.loaded(LARGE - 1)
    assert gc.get_freeze_count() == 0
    kept.loaded(LARGE)
    assert gc.get_freeze_count() > 0


def test_what_models_leave_behind_is_cleaned_up_when_there_is_time(trims: list[int]) -> None:
    kept = SharedUpkeep(threading.Lock())
    kept.unloaded(TRIM - 1)
    assert (kept.due, trims) == (True, [])
    kept.unloaded(1)
    assert trims == [1]
    kept.idle()
    assert (kept.due, trims) == (False, [1, 1])


def test_memory_is_measured_between_two_batches() -> None:
    serving = threading.Lock()
    kept = SharedUpkeep(serving)
    with serving:
        assert kept.resident_bytes() > 0
    assert kept.resident_bytes() > 0
    assert not serving.locked()


def test_the_files_of_a_model(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a").write_bytes(b"x" * 10)
    (tmp_path / "deep" / "b").write_bytes(b"x" * 5)
    (tmp_path / "dangling").symlink_to("nowhere")
    assert file_bytes(str(tmp_path / "a")) == 10
    assert 15 <= file_bytes(str(tmp_path)) < 50
    assert file_bytes(str(tmp_path / "none")) == 0
