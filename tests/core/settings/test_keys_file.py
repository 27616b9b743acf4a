"""A file of keys: read as a whole or not at all, and only if it is its owner's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core import keys
from shoal.core.access import Grant, KeyRecord
from shoal.core.errors import ConfigError
from shoal.core.settings.keys_file import _parse, add_key, read_keys


def record(name: str = "ci", **more: object) -> KeyRecord:
    key = keys.generate()
    values = {
        "id": key.id,
        "name": name,
        "sha256": keys.digest(key.text),
        "grants": (Grant(("caller",), "fraud", "iris"),),
    }
    return KeyRecord(**{**values, **more})  # type: ignore[arg-type]


def test_what_was_added_is_read(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    one, two = record(), record("app", tenant="lab", expires=1_800_000_000.0)
    add_key(path, one)
    add_key(path, two)
    table = read_keys(path)
    assert [(each.id, each.grants, each.tenant, each.expires) for each in table.keys] == [
        (each.id, each.grants, each.tenant, each.expires) for each in (one, two)
    ]
    assert table.revision > 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["keys.yaml"]


def test_an_empty_file_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    path.touch(0o600)
    table = read_keys(path)
    assert (table.keys, table.revision) == ((), 1)


@pytest.mark.parametrize("mode", [0o604, 0o644, 0o602, 0o620, 0o666])
def test_a_file_for_everybody_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "keys.yaml"
    add_key(path, record())
    path.chmod(mode)
    with pytest.raises(ConfigError, match="others on this machine") as caught:
        read_keys(path)
    assert "chmod 600" in caught.value.hint
    path.chmod(0o640)
    assert read_keys(path).keys


GOOD = "id: aaaaaaaaaaaa\n  name: ci\n  sha256: " + "0" * 64 + "\n  grants: [{permissions: [caller]}]\n"


@pytest.mark.parametrize(
    "text",
    [
        "keys: [",
        "keys: 3",
        "- a",
        "other: []",
        f"keys:\n- {GOOD}  expire: 3\n",
        f"keys:\n- {GOOD.replace('caller', 'boss')}",
        f"keys:\n- {GOOD.replace('0' * 64, 'secret')}",
        f"keys:\n- {GOOD}- {GOOD}",
        "keys: !!python/object/apply:os.system ['true']",
        "[" * 5000,
    ],
)
def test_a_file_with_something_wrong_is_refused_as_a_whole(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.yaml"
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"keys\.yaml"):
        read_keys(path)
    with pytest.raises(ConfigError):
        add_key(path, record())
    assert path.read_text() == text


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(tmp_path / "keys.yaml")
    with pytest.raises(ConfigError, match="cannot be written"):
        add_key(tmp_path / "nowhere/keys.yaml", record())


@given(st.binary(max_size=200))
def test_any_bytes_are_keys_or_refused(data: bytes) -> None:
    try:
        _parse(data, Path("keys.yaml"))
    except ConfigError as error:
        assert error.field == "auth.keys_file"  # noqa: PT017 - either outcome is right
