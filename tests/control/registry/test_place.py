from __future__ import annotations

from pathlib import Path

import pytest

from shoal.control.registry import place
from shoal.control.registry.place import Lock, file_system, refuse_networked
from shoal.core.errors import ConfigError

MOUNTS = """\
/dev/vda / ext4 rw 0 0
server:/export /data nfs4 rw 0 0
/dev/vdb /data/local xfs rw 0 0
//server/share /mnt/with\\040space cifs rw 0 0
overmounted /data tmpfs rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/database", "ext4"),
        ("/data", "tmpfs"),
        ("/data/local/deep", "xfs"),
        ("/mnt/with space/a", "cifs"),
        ("/mnt", "ext4"),
    ],
)
def test_the_innermost_and_newest_mount_counts(folder: str, kind: str) -> None:
    assert file_system(folder, MOUNTS) == kind


def test_without_a_table_nothing_is_known() -> None:
    assert file_system("/data", "") == ""
    assert file_system("/data", "odd\n\n") == ""


def test_a_network_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mounts"
    table.write_text(f"server:/export {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr(place, "_MOUNTS", table)
    with pytest.raises(ConfigError, match="nfs4"):
        refuse_networked(tmp_path / "deep")


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be kept in"):
        Lock.take(tmp_path / "file" / "registry.db")
