from typing import Any

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hypothesis import given
from hypothesis import strategies as st

from shoal.core.wire.http2 import encode_block
from shoal.core.wire.http2.blocks import Fields
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault
from shoal.core.wire.http2.fields import MEMO_BLOCK_BYTES, MEMO_ENTRIES, FieldDecoder

names = st.sampled_from([b":path", b":status", b"content-type", b"x-a", b"x-b", b"authorization", b"x" * 200])
values = st.one_of(st.sampled_from([b"", b"200", b"/", b"application/grpc"]), st.binary(max_size=300))
field_lists = st.lists(st.tuples(names, values), max_size=6)


@given(field_lists)
def test_what_is_encoded_any_decoder_reads(fields: Fields) -> None:
    assert [tuple(each) for each in Decoder().decode(encode_block(fields), raw=True)] == fields


@given(field_lists)
def test_an_encoded_block_leaves_the_peers_table_alone(fields: Fields) -> None:
    decoder = Decoder()
    decoder.decode(encode_block(fields), raw=True)
    assert not decoder.header_table.dynamic_entries


steps = st.one_of(
    st.tuples(st.just("send"), field_lists, st.booleans()),
    st.tuples(st.just("again"), st.integers(0, 5), st.just(True)),
    st.tuples(st.just("resize"), st.sampled_from([0, 64, 300, 4096]), st.just(True)),
)


@given(st.lists(steps, max_size=40))
def test_the_memo_says_what_plain_hpack_says(script: list[tuple[str, Any, bool]]) -> None:
    """Also when the table changes between two equal blocks, is full, or is resized there and back in one block.

    A block that comes again may leave the decoders' table unlike the encoder's; then both must fail alike.
    """
    encoder, plain = Encoder(), Decoder()
    memo = FieldDecoder(2**20).memo(lambda fields: fields)
    blocks: list[bytes] = []
    for kind, what, indexed in script:
        if kind == "resize":
            if what != encoder.header_table_size:  # setting it twice makes `hpack` forget to tell the first change
                encoder.header_table_size = what
            continue
        if kind == "send":
            blocks.append(bytes(encoder.encode([(name, value, not indexed) for name, value in what])))
        block = blocks[what % len(blocks)] if kind == "again" and blocks else blocks[-1] if blocks else b""
        try:
            expected = [tuple(each) for each in plain.decode(block, raw=True)]
        except HPACKError:
            with pytest.raises(ConnectionFault):
                memo.decode(block)
            return
        assert memo.decode(block) == expected


def test_a_repeated_block_is_not_decoded_again() -> None:
    encoder, calls = Encoder(), []
    memo = FieldDecoder(2**16).memo(lambda fields: calls.append(fields) or fields)
    memo.decode(bytes(encoder.encode([(b"x-a", b"1")])))
    indexed = bytes(encoder.encode([(b"x-a", b"1")]))
    first = memo.decode(indexed)
    assert memo.decode(indexed) is first
    assert len(calls) == 2


def test_an_eviction_that_leaves_the_tables_length_alone_empties_the_memo() -> None:
    encoder = Encoder()
    memo = FieldDecoder(2**16).memo(lambda fields: fields)
    for number in range(40):
        memo.decode(bytes(encoder.encode([(b"x-%d" % number, b"v" * 200)])))
    last = bytes(encoder.encode([(b"x-39", b"v" * 200)]))
    assert memo.decode(last) == [(b"x-39", b"v" * 200)]
    memo.decode(bytes(encoder.encode([(b"x-40", b"v" * 200)])))
    assert memo.decode(last) == [(b"x-40", b"v" * 200)]


def test_two_memos_of_one_decoder_are_emptied_together() -> None:
    encoder, decoder = Encoder(), FieldDecoder(2**16)
    one, two = decoder.memo(lambda fields: fields), decoder.memo(len)
    one.decode(bytes(encoder.encode([(b"x-a", b"1")])))
    indexed = bytes(encoder.encode([(b"x-a", b"1")]))
    assert one.decode(indexed) == [(b"x-a", b"1")]
    two.decode(bytes(encoder.encode([(b"x-b", b"2")])))
    assert one.known == two.known == {}
    assert one.decode(indexed) == [(b"x-b", b"2")]


def test_the_memo_is_bounded() -> None:
    memo = FieldDecoder(2**16).memo(lambda fields: fields)
    for number in range(5 * MEMO_ENTRIES):
        memo.decode(encode_block([(b"x", b"%d" % number)]))
    assert 0 < len(memo.known) <= MEMO_ENTRIES
    memo.known.clear()
    memo.decode(encode_block([(b"x", b"v" * MEMO_BLOCK_BYTES)]))
    assert not memo.known


def test_a_failed_interpretation_is_not_remembered() -> None:
    def refuse(fields: Fields) -> Fields:
        raise ValueError("refused")

    memo = FieldDecoder(2**16).memo(refuse)
    for _ in range(2):
        with pytest.raises(ValueError, match="refused"):
            memo.decode(encode_block([(b"x", b"1")]))
    assert not memo.known


def test_a_bomb_is_stopped_at_the_limit() -> None:
    """One entry of 4 KB, named 16,000 times in 16 KB."""
    encoder = Encoder()
    memo = FieldDecoder(256 * 1024).memo(len)
    memo.decode(bytes(encoder.encode([(b"x", b"v" * 4000)])))
    reference = bytes(encoder.encode([(b"x", b"v" * 4000)]))
    with pytest.raises(ConnectionFault) as raised:
        memo.decode(reference * 16_000)
    assert raised.value.code == ErrorCode.ENHANCE_YOUR_CALM


@given(st.binary(max_size=60))
def test_junk_is_a_fault_or_fields(block: bytes) -> None:
    memo = FieldDecoder(2**16).memo(lambda fields: fields)
    try:
        fields = memo.decode(block)
    except ConnectionFault:
        return
    assert all(isinstance(name, bytes) and isinstance(value, bytes) for name, value in fields)
