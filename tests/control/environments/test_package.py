"""Shoal's own wheel."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from shoal.control.environments.package import package_digest, write_wheel


def test_the_wheel_is_the_same_each_time_and_whole(tmp_path: Path) -> None:
    one, other = tmp_path / "1", tmp_path / "2"
    wheels = []
    for folder in (one, other):
        folder.mkdir()
        wheels.append(write_wheel(folder, ["numpy>=1.26"], command=True))

    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    with zipfile.ZipFile(wheels[0]) as archive:
        names = set(archive.namelist())
        info = next(name.partition("/")[0] for name in names if name.endswith("/METADATA"))
        assert {"shoal/__init__.py", "shoal/serving/worker/main.py", "shoal/py.typed"} < names
        assert "Requires-Dist: numpy>=1.26\n" in archive.read(f"{info}/METADATA").decode()
        assert "shoal = shoal.cli.main:main" in archive.read(f"{info}/entry_points.txt").decode()
        assert len(archive.read(f"{info}/RECORD").splitlines()) == len(names)
    assert not any("__pycache__" in name for name in names)


def test_a_workers_wheel_has_no_command(tmp_path: Path) -> None:
    with zipfile.ZipFile(write_wheel(tmp_path, [], command=False)) as archive:
        assert not any(name.endswith("entry_points.txt") for name in archive.namelist())


def test_the_packages_digest_is_one_of_sha256() -> None:
    assert len(package_digest()) == len(hashlib.sha256().hexdigest())
    assert package_digest() == package_digest()
