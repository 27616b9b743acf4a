"""Files beside a settings file: they are there, and they do not lead out."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.core.errors import ConfigError
from shoal.core.settings.beside import beside, contents
from shoal.core.settings.documents import MAX_BYTES


def test_a_file_beside_is_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_text("b")
    assert beside(tmp_path.resolve(), "a/b.txt", "the folder") == (tmp_path / "a" / "b.txt").resolve()


def test_a_link_may_not_lead_out(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "secret").write_text("s")
    (home / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(ValueError, match="must lie in the folder, 'link' does not"):
        beside(home.resolve(), "link", "the folder")


@pytest.mark.parametrize(
    ("given", "expected"), [("..", "must lie in"), ("a\0", "must be a path"), ("no", "there is no")]
)
def test_other_paths_are_refused(tmp_path: Path, given: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        beside(tmp_path.resolve(), given, "the folder")


def test_of_a_huge_file_no_more_than_needed_is_read(tmp_path: Path) -> None:
    (tmp_path / "huge").write_bytes(b"x" * (2 * MAX_BYTES))
    assert len(contents(tmp_path / "huge")) == MAX_BYTES + 1
    with pytest.raises(ConfigError, match="cannot be read"):
        contents(tmp_path / "none")
