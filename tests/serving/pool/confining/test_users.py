from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.serving.pool.confining.users import Users


@settings(max_examples=30)
@given(steps=st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_nobody_has_the_same_one_on_one_machine(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[bool, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("users") / "locks"
    nodes = (Users(100, 104, folder), Users(100, 104, folder))
    taken: tuple[list[int], list[int]] = ([], [])
    for which, takes in steps:
        mine = taken[which]
        if takes:
            user = nodes[which].take()
            assert (user is None) == (len(taken[0]) + len(taken[1]) == 5)
            if user is not None:
                assert user not in taken[0] + taken[1]
                assert 100 <= user <= 104
                mine.append(user)
        elif mine:
            nodes[which].give_back(mine.pop(0))
    for node, left in zip(nodes, taken, strict=True):
        for user in left:
            node.give_back(user)


def test_one_that_was_given_back_is_not_the_next(tmp_path: Path) -> None:
    users = Users(100, 102, tmp_path)
    first = users.take()
    assert first is not None
    users.give_back(first)
    second = users.take()
    assert second not in (None, first)
    assert second is not None
    users.give_back(second)


def test_a_folder_that_somebody_put_there_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(OSError, match=r"directory|symbolic"):
        Users(100, 102, tmp_path / "link").take()
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(PermissionError, match="somebody else"):
        Users(100, 102, tmp_path).take()
