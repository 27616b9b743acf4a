from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shoal.core.confinement import MEANS, Rules, decode_plan
from shoal.serving.pool.confining.confiner import MOST_BYTES, Confiner
from shoal.serving.pool.confining.needs import Needs


@pytest.fixture
def confiner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Confiner]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = Confiner(Rules(readable=("/data",), writable=("/scratch",), processes=99))
    yield made
    made.close()


def test_a_plan_comes_through_standard_input(confiner: Confiner) -> None:
    cell = confiner.cell(Needs(readable=("/model",), network=True))
    plan = decode_plan(os.read(cell.standard_input, MOST_BYTES))
    cell.close_input()
    assert plan == cell.plan
    assert plan.readable == ("/model", "/data")
    assert plan.writable == ("/scratch",)
    assert (plan.network, plan.processes, plan.strict) == (True, 99, False)
    assert (plan.user is not None) == (os.geteuid() == 0)
    (Path(plan.folder) / "file").write_text("x")
    cell.remove()
    assert not Path(plan.folder).exists()


@pytest.mark.parametrize(
    ("network", "asked", "given"),
    [("asked", True, True), ("asked", None, False), ("asked", False, False), ("always", True, True),
     ("always", None, True), ("always", False, False), ("never", True, False), ("never", None, False)],
)  # fmt: skip
def test_who_gets_the_network(network: str, asked: bool | None, given: bool) -> None:
    assert Rules(network=network).grants_network(asked) is given  # type: ignore[arg-type]


def test_a_plan_that_would_block_is_refused_and_leaves_nothing(confiner: Confiner, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="too long"):
        confiner.cell(Needs(readable=("/x" * MOST_BYTES,)))
    (home,) = tmp_path.glob("shoal-workers-*")
    assert [each.name for each in home.iterdir()] == ["lock"]


def test_what_is_missing_is_said_once(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    told: dict[str, bool] = {}
    confiner = Confiner(Rules(), told.__setitem__)
    for _ in range(3):
        confiner.told({"files": "no Landlock here", "signals": "no Landlock here"})
    (record,) = [each for each in caplog.records if "confined without" in each.message]
    assert record.levelno == logging.WARNING
    assert "files (no Landlock here)" in record.message
    assert told == {name: name not in ("files", "signals") for name in MEANS}
    confiner.told({"system_calls": "old"})
    assert not told["system_calls"]
    assert confiner.explain() == {
        "level": "basic",
        "weaker": True,
        "missing": {"files": "no Landlock here", "signals": "no Landlock here", "system_calls": "old"},
    }


def test_what_others_make_up_for_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    confiner = Confiner(Rules())
    confiner.told({"own_user": "not root", "namespaces": "not root"})
    (record,) = caplog.records
    assert record.levelno == logging.INFO
