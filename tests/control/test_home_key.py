from __future__ import annotations

from pathlib import Path

import pytest

from shoal.client.control import ControlClient
from shoal.control.home_key import found_key, node_key
from shoal.core import keys
from shoal.core.errors import ConfigError, PermissionDenied, Unauthenticated
from shoal.core.settings.secret_files import read_secret
from support.controls import listening


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    assert found_key(tmp_path) == ""
    text = node_key(tmp_path)
    assert keys.parse(text)
    assert node_key(tmp_path) == found_key(tmp_path) == text
    assert (tmp_path / "node.key").stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["node.key"]


def test_one_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    node_key(tmp_path)
    (tmp_path / "node.key").chmod(0o604)
    with pytest.raises(ConfigError, match="others"):
        node_key(tmp_path)
    (tmp_path / "node.key").chmod(0o600)
    (tmp_path / "node.key").write_text("hello")
    with pytest.raises(ConfigError, match="no key"):
        node_key(tmp_path)


@pytest.mark.parametrize(
    ("mode", "fine"), [(0o600, True), (0o400, True), (0o640, True), (0o660, False), (0o644, False)]
)
def test_a_secret_is_read_from_a_file_that_others_cannot(tmp_path: Path, mode: int, fine: bool) -> None:
    file = tmp_path / "secret"
    file.write_text(" s3cret\n")
    file.chmod(mode)
    if fine:
        assert read_secret(file) == "s3cret"
    else:
        with pytest.raises(ConfigError) as told:
            read_secret(file)
        assert "s3cret" not in str(told.value)


def test_a_secret_that_is_not_there_or_empty_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_secret(tmp_path / "none")
    (tmp_path / "empty").touch(0o600)
    with pytest.raises(ConfigError, match="empty"):
        read_secret(tmp_path / "empty")


def test_a_node_of_the_home_gets_in_by_it_and_does_no_more_than_a_node(tmp_path: Path) -> None:
    with listening(tmp_path, auth="keys") as client:
        with pytest.raises(Unauthenticated):
            client.models()
        with ControlClient(client.url, key=found_key(tmp_path)) as node:
            assert node.feed(-1).position == 0
            assert node.desired() == ()
            assert node.access().keys == ()
            with pytest.raises(PermissionDenied):
                node.models()
            with pytest.raises(PermissionDenied):
                node.list_keys()
