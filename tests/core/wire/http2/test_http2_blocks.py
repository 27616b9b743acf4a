"""Our loop over header blocks against `hpack`'s."""

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hpack.huffman_table import decode_huffman
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.wire.http2.blocks import BlockDecoder, unhuffman

names = st.one_of(st.sampled_from([b":path", b"content-type", b"x-a"]), st.binary(max_size=200))
fields = st.tuples(names, st.one_of(st.just(b""), st.binary(max_size=400)), st.booleans())
writes = st.one_of(st.tuples(st.lists(fields, max_size=6), st.booleans()), st.sampled_from([0, 100, 1000, 4096]))


@given(st.lists(writes, max_size=20))
def test_what_hpack_encodes_is_read(script: list[tuple[list[tuple[bytes, bytes, bool]], bool] | int]) -> None:
    encoder, ours = Encoder(), BlockDecoder(2**20)
    for step in script:
        if isinstance(step, int):
            if step != encoder.header_table_size:  # setting it twice makes `hpack` forget to tell the first change
                encoder.header_table_size = step
        else:
            block = bytes(encoder.encode(step[0], huffman=step[1]))
            assert ours.decode(block) == [(name, value) for name, value, _ in step[0]]


@given(st.lists(st.binary(max_size=40), max_size=5))
def test_any_bytes_mean_the_same_as_to_hpack(blocks: list[bytes]) -> None:
    theirs, ours = Decoder(), BlockDecoder(2**16)
    for block in blocks:
        try:
            expected = [tuple(each) for each in theirs.decode(block, raw=True)]
        except (HPACKError, IndexError):
            with pytest.raises((HPACKError, IndexError)):
                ours.decode(block)
            return
        assert ours.decode(block) == expected


@given(st.binary(max_size=40))
def test_any_bytes_are_the_same_huffman_string(data: bytes) -> None:
    try:
        expected = decode_huffman(data)
    except HPACKError:
        with pytest.raises(HPACKError):
            unhuffman(data)
        return
    assert unhuffman(data) == expected


@pytest.mark.parametrize("block", [b"\x80", b"\xff\xff\xff\xff\xff\xff\x01", b"\x82\x20", b"\x3f\xe2\x1f", b"\xbe"])
def test_known_traps_are_errors(block: bytes) -> None:
    with pytest.raises(HPACKError):
        BlockDecoder(2**16).decode(block)
