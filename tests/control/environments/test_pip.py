"""What pip says, as one sentence and a hint; and its end when it takes too long."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.control.environments import pip
from shoal.core.errors import ConfigError, ShoalError, StorageFull, Unavailable

MISSING = """\
Looking in links: /wheels
ERROR: Could not find a version that satisfies the requirement {} (from versions: {})
ERROR: No matching distribution found for {}
"""
RETRIES = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError: refused': /simple/a/\n"
TAMPERED = """\
Collecting a==1 (from -r requirements.lock (line 1))
ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE. If you have updated ...
    a==1 from https://host/a-1.whl (from -r requirements.lock (line 1)):
        Expected sha256 00
             Got        11
"""


@pytest.mark.parametrize(
    ("output", "kind", "told", "hint"),
    [
        (MISSING.format("a==9", "1.0, 1.1, 2.0", "a==9"), ConfigError, "there is no a==9 for this", "2.0, 1.1, 1.0"),
        (MISSING.format("a==9 (from -r x (line 1))", "1", "a"), ConfigError, "there is no a==9 for", "there is: 1"),
        (MISSING.format("a==9", "none", "a==9"), ConfigError, "there is no a==9 to be had", "spelled right"),
        (RETRIES + MISSING.format("a==9", "none", "a==9"), Unavailable, "index cannot be reached", "again later"),
        (TAMPERED, ConfigError, "the file of a==1 is not what the lock's hash says", "look first"),
        ("ERROR: [Errno 28] No space left on device", StorageFull, "no room", "shoal gc"),
        ("/bin/python: No module named pip\n", ConfigError, "pip is not installed beside Shoal", "ensurepip"),
        ("one\nERROR: first\nERROR: the last\n", ConfigError, "pip could not install the requirements: the last", ""),
        ("only this\n", ConfigError, "only this", ""),
        ("", ConfigError, "it has said nothing", ""),
    ],
)
def test_an_error_of_pip_is_told_in_one_sentence(output: str, kind: type[ShoalError], told: str, hint: str) -> None:
    error = pip.explain(output)

    assert type(error) is kind
    assert told in error.message
    assert hint in error.hint


def test_what_does_not_fit_together_is_told_requirement_by_requirement() -> None:
    error = pip.unmet("a 1 has requirement b>=2, but you have b 1.\nc 1 requires d, which is not installed.\n")

    assert error.message.splitlines() == [
        "the lock is not complete:",
        "a 1 has requirement b>=2, but you have b 1",
        "c 1 requires d, which is not installed",
    ]


def test_a_long_list_is_cut() -> None:
    error = pip.unmet("\n".join(f"a{number} requires b, which is not installed." for number in range(50)))

    assert len(error.message.splitlines()) == 12
    assert error.message.endswith("... and 40 more")


@pytest.mark.process
def test_what_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="took longer than"):
        pip.download(["iniconfig==2.0.0"], tmp_path, progress=str, seconds=0.001)
