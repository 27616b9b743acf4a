from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shoal.serving.worker.confinement import landlock


@given(st.integers(1, 50))
def test_a_later_version_restricts_no_less(version: int) -> None:
    before, after = landlock.handled(version), landlock.handled(version + 1)
    assert before.files & after.files == before.files
    assert after.tcp >= before.tcp
    assert after.signals >= before.signals


def test_what_each_version_has() -> None:
    assert landlock.handled(1) == landlock.Handled((1 << 13) - 1, tcp=False, signals=False)
    assert landlock.handled(2).files & landlock.REFER
    assert landlock.handled(3).files & landlock.TRUNCATE
    assert landlock.handled(4).tcp
    assert landlock.handled(5).files & landlock.DEVICE
    assert landlock.handled(6).signals


def test_rights_are_what_their_names_say() -> None:
    assert not landlock.READ & (landlock.WRITE_FILE | landlock.EXECUTE)
    assert not landlock.OWN & (landlock.EXECUTE | landlock.MAKE_BLOCK | landlock.MAKE_CHARACTER)
    assert landlock.RUN == landlock.READ | landlock.EXECUTE
    assert landlock.MAKE_LINK == 1 << 12
