"""What a pool remembers: bounded, the same for the same content, and patient with what fails."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.ipc.messages import Loaded
from shoal.core.model import Batching, Limits, ModelSpec
from shoal.core.types import Signature
from shoal.serving.pool.shared.remembered import FIRST_BACKOFF, LAST_BACKOFF, Memory, Remembered, content_key

SPEC = ModelSpec(name="iris", version="3", path="/models/iris", runtime="sklearn", digest="abc")
LOADED = Loaded(1, Signature(), "sklearn", True, "", 0.1, 5, "")


@given(st.lists(st.integers(0, 30), max_size=200))
def test_it_is_bounded_and_keeps_those_seen_last(keys: list[int]) -> None:
    remembered = Remembered(10)
    for key in keys:
        remembered.of(bytes([key])).gone = str(key)
    assert len(remembered) == min(len(set(keys)), 10)
    last = list(dict.fromkeys(reversed(keys)))[:10]
    for key in last:
        memory = remembered.peek(bytes([key]))
        assert memory is not None
        assert memory.gone == str(key)


def test_of_registered_files_only_content_and_settings_count() -> None:
    same = msgspec.structs.replace(SPEC, name="other", version="9", path="/elsewhere", tenant="t")
    assert content_key(same) == content_key(SPEC)
    assert content_key(msgspec.structs.replace(SPEC, batching=Batching(max_size=3), limits=Limits(workers=4))) == (
        content_key(SPEC)
    )
    assert content_key(msgspec.structs.replace(SPEC, digest="abd")) != content_key(SPEC)
    assert content_key(msgspec.structs.replace(SPEC, parameters={"a": 1})) != content_key(SPEC)


def test_of_other_files_the_path_counts() -> None:
    plain = msgspec.structs.replace(SPEC, digest="")
    assert content_key(msgspec.structs.replace(plain, path="/elsewhere")) != content_key(plain)


def test_failures_are_waited_for_longer_and_longer_until_one_load_is_good() -> None:
    memory = Memory()
    delays = [memory.failed("no", 100.0) for _ in range(10)]
    assert delays[:3] == [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF]
    assert (max(delays), memory.until, memory.failure) == (LAST_BACKOFF, 100.0 + LAST_BACKOFF, "no")
    memory.succeeded(LOADED, keep=False)
    assert (memory.loaded, memory.failure, memory.until, memory.failed("again", 0.0)) == (None, "", 0.0, FIRST_BACKOFF)
    memory.succeeded(LOADED, keep=True)
    assert memory.loaded == LOADED
