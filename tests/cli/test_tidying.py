"""`shoal gc` and worker environments: what a service names stays, what nobody has used for a day goes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from shoal.client.control import ControlClient
from shoal.control.environments.locks import environment_digest, parse_lock
from shoal.control.environments.needs import this_target
from shoal.control.environments.records import Environment
from shoal.core.service import Service

Give = Callable[..., Any]


def environment(home: Path, lock: str, *, age: float) -> str:
    """An environment as one is left on the disk, last used so many seconds ago; its digest."""
    target, folder = this_target(), home / "environments"
    digest = environment_digest(parse_lock(lock), target)
    (folder / digest / "bin").mkdir(parents=True)
    (folder / digest / "bin/python").touch()
    told = Environment(digest=digest, folder=str(folder / digest), requirements=(), target=target, bytes=9, created=0.0)
    record = folder / f"{digest}.json"
    record.write_bytes(msgspec.json.encode(told))
    used = time.time() - age
    os.utime(record, (used, used))
    return digest


def test_environments_that_nothing_needs_go(control: ControlClient, shoal: Give, told: Give, tmp_path: Path) -> None:
    home, day = tmp_path / "home", 25 * 3600.0
    (tmp_path / "iris.onnx").write_bytes(b"r1")
    shoal("push", tmp_path / "iris.onnx")
    control.put_service(Service(name="iris", model="iris", requirements="numpy==1.0\n"))
    named = environment(home, "numpy==1.0\n", age=day)
    young = environment(home, "numpy==2.0\n", age=60.0)
    old = environment(home, "numpy==3.0\n", age=day)
    assert "environments" not in shoal("gc", "--dry-run")
    assert told("gc")["environments"] == [old]
    left = {path.stem for path in (home / "environments").glob("*.json")}
    assert left == {named, young}


def test_a_home_without_environments_has_nothing_to_tidy(told: Give) -> None:
    assert told("gc")["environments"] == []
