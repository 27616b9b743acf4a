"""Content codings: round trips, negotiation, and what bombs and broken streams cost."""

from __future__ import annotations

import contextlib
import gzip
import time
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.errors import InvalidInput, TooLarge, Unsupported
from shoal.serving.gateway.sockets import compression

MIB = 1024 * 1024


def raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body, wbits=-15)


@pytest.mark.parametrize(
    ("pack", "encoding"),
    [(gzip.compress, b"gzip"), (gzip.compress, b" X-GZIP "), (zlib.compress, b"deflate"), (raw_deflate, b"deflate")],
)
@given(st.binary(max_size=3000), st.integers(1, 400))
def test_what_was_packed_comes_back_and_the_limit_is_exact(pack, encoding, seed, times):
    body = seed * times
    packed = pack(body)
    assert compression.decompress(packed, encoding, len(body)) == body
    if body:
        with pytest.raises(TooLarge):
            compression.decompress(packed, encoding, len(body) - 1)
        with pytest.raises(InvalidInput):
            compression.decompress(packed[:-1], encoding, len(body))


@given(st.binary(max_size=300), st.sampled_from([b"gzip", b"deflate", b"identity", b"br", b"gzip, gzip", b"\xff"]))
def test_any_bytes_give_a_body_or_a_domain_error(body, encoding):
    with contextlib.suppress(InvalidInput, Unsupported):
        assert isinstance(compression.decompress(body, encoding, 10_000), bytes)


@pytest.mark.parametrize("encoding", [b"", b"identity", b" Identity "])
def test_identity_passes_within_the_limit(encoding):
    assert compression.decompress(bytearray(b"abc"), encoding, 3) == b"abc"
    with pytest.raises(TooLarge):
        compression.decompress(b"abc", encoding, 2)


@pytest.mark.parametrize("encoding", [b"gzip, gzip", b"gzip,identity", b"br", b"zstd", b"compress", b"aws-chunked"])
def test_unknown_and_nested_codings_are_unsupported(encoding):
    with pytest.raises(Unsupported):
        compression.decompress(gzip.compress(b"x"), encoding, 100)


def test_concatenated_members_are_one_body_but_not_without_end():
    assert compression.decompress(gzip.compress(b"ab") * 3, b"gzip", 6) == b"ababab"
    with pytest.raises(InvalidInput, match="members"):
        compression.decompress(gzip.compress(b"") * 2000, b"gzip", 6)
    with pytest.raises(InvalidInput):
        compression.decompress(zlib.compress(b"ab") + b"cd", b"deflate", 6)


def test_a_bomb_is_refused_cheaply():
    bomb = gzip.compress(b"\0" * (65 * MIB))
    started = time.process_time()
    with pytest.raises(TooLarge):
        compression.decompress(bomb, b"gzip", 64 * MIB)
    assert time.process_time() - started < 0.2  # about 0.04 s on a quiet machine


def test_large_bodies_that_compress_well_are_fine():
    body = b"0" * (4 * MIB)
    assert compression.decompress(gzip.compress(body), b"gzip", 4 * MIB) == body


def test_the_loop_is_never_held_by_a_body_that_grows():
    grows = gzip.compress(b"\0" * MIB)
    assert len(grows) < compression.ON_LOOP_BYTES
    assert compression.decompress_small(grows, b"gzip", 64 * MIB) is None
    assert compression.decompress_small(b"x" * (compression.ON_LOOP_BYTES + 1), b"gzip", 64 * MIB) is None
    assert compression.decompress_small(gzip.compress(b"small"), b"gzip", 64 * MIB) == b"small"
    with pytest.raises(TooLarge):
        compression.decompress_small(grows, b"gzip", 1000)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (None, False),
        (b"", False),
        (b"gzip", True),
        (b"deflate, GZIP;q=0.5", True),
        (b"gzip;q=0", False),
        (b"gzip;q=0.000, *", False),
        (b"*", True),
        (b"*;q=0", False),
        (b"br", False),
        (b"gzip; q = 1", True),
        (b"gzip;q=high", False),
        (b"x" * 1000 + b", gzip", True),
    ],
)
def test_the_client_decides_whether_it_gets_gzip(value, accepted):
    headers = {} if value is None else {b"accept-encoding": value}
    assert compression.accepts_gzip(headers) is accepted


@given(st.binary(max_size=5000))
def test_compressing_is_deterministic_and_reversible(body):
    packed = compression.compress(body)
    assert packed == compression.compress(bytearray(body))
    assert gzip.decompress(packed) == body
    assert packed[4:8] == b"\0\0\0\0"
