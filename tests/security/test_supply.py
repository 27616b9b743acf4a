"""What the package is made of: pinned versions, nothing secret, the same wheel each time, no careless calls."""

from __future__ import annotations

import ast
import hashlib
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.version import Version

import shoal

ROOT = Path(__file__).parents[2]
SOURCE = Path(shoal.__file__).parent
LEAST = {
    "h11": "0.16",
    "orjson": "3.9.15",
    "protobuf": "6.31.1",
    "starlette": "0.49.1",
    "urllib3": "2.6.0",
    "pillow": "11.3",
}
"""Versions in which holes that concern us were closed."""
SECRET = re.compile(
    r"-----BEGIN (?:RSA |EC |OPENSSH |ENCRYPTED )?PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{64}"
    r"|\bAKIA[0-9A-Z]{16}\b|\bghp_[A-Za-z0-9]{36}\b|\bglpat-[A-Za-z0-9_-]{20}\b|\bxox[bp]-[A-Za-z0-9-]{20,}"
    r"|\bAIza[0-9A-Za-z_-]{35}\b|\bhf_[A-Za-z]{34}\b"
)
CARELESS = {
    "os.system", "os.popen", "tempfile.mktemp", "ssl._create_unverified_context", "ssl._create_default_https_context",
    "hashlib.md5", "random.SystemRandom", "urllib.request.urlopen", "telnetlib.Telnet", "ftplib.FTP",
}  # fmt: skip


def tracked() -> list[Path]:
    """Files of the project, as git knows them."""
    named = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if named.returncode:
        pytest.skip("this is no checkout")
    return [ROOT / name for name in named.stdout.split("\0") if name]


def test_every_dependency_is_pinned_and_past_its_known_holes() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert len(pins) == len([line for line in lines if line and not line.startswith("#")])
    old = {name: pin for name, pin in pins.items() if name in LEAST and Version(pin) < Version(LEAST[name])}
    assert old == {}


def test_no_secret_is_in_the_project() -> None:
    found = []
    for path in tracked():
        if path.is_file() and path.stat().st_size < 4_000_000:
            text = path.read_bytes().decode("utf-8", "ignore")
            found += [f"{path.relative_to(ROOT)}: {match[0][:12]}" for match in SECRET.finditer(text)]
    assert found == []


def careless(tree: ast.AST) -> list[str]:
    """Calls and settings that have a safe form, and do not use it."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            said = {each.arg: ast.unparse(each.value) for each in node.keywords}
            if called in CARELESS or (called.endswith(".set_ciphers") and "ALL" in ast.unparse(node)):
                found.append(called)
            found += [f"{called}({name}={said[name]})" for name, value in (("shell", "True"), ("verify", "False"))
                      if said.get(name) == value]  # fmt: skip
        elif isinstance(node, ast.Attribute) and node.attr in ("CERT_NONE", "PROTOCOL_TLS", "TLSv1", "TLSv1_1"):
            found.append(ast.unparse(node))
    return found


def test_nothing_is_done_carelessly(sources: dict[str, ast.AST]) -> None:
    found = {name: here for name, tree in sources.items() if (here := careless(tree))}
    assert found == {}
    assert (
        careless(ast.parse("subprocess.run(text, shell=True)\nos.system(x)\ncontext.verify_mode = ssl.CERT_NONE")) != []
    )


@pytest.mark.process
def test_the_wheel_is_the_same_each_time_and_holds_the_package_alone(tmp_path: Path) -> None:
    wheels = []
    for number in range(2):
        place = tmp_path / str(number) / "shoal"
        place.mkdir(parents=True)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, place)
        shutil.copytree(SOURCE, place / "src/shoal", ignore=shutil.ignore_patterns("__pycache__"))
        code = "import hatchling.build as b; print(b.build_wheel('dist'))"
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "PYTHONHASHSEED": str(number)}
        subprocess.run(
            [sys.executable, "-c", code], cwd=place, env=environment, check=True, capture_output=True, timeout=50
        )
        wheels.append(next((place / "dist").iterdir()))
    assert len({hashlib.sha256(each.read_bytes()).hexdigest() for each in wheels}) == 1
    with zipfile.ZipFile(wheels[0]) as wheel:
        tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {re.sub(r"-.*\.dist-info", ".dist-info", top) for top in tops} == {"shoal", "shoal.dist-info"}
