"""Header blocks: HPACK (RFC 7541) out as plain literals, and in through a decoder behind a memo.

Out: every field is written as an index into the static table or as a literal *without indexing*. So a block means
the same at any time on any connection: it can be encoded once and kept, and the peer's table never changes.

In (decoded by `blocks`): a client that repeats a call sends the same block, byte for byte. A block that left the
dynamic table as it was means the same again as long as the table stays so, and is answered from a dictionary. Every
change of the table (an insertion, an eviction, a new size) empties the memo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from hpack.exceptions import HPACKError, OversizedHeaderListError
from hpack.table import HeaderTable

from shoal.core.wire.http2.blocks import BlockDecoder, Fields
from shoal.core.wire.http2.codes import ErrorCode
from shoal.core.wire.http2.faults import ConnectionFault

T = TypeVar("T")

MEMO_ENTRIES = 128
MEMO_BLOCK_BYTES = 2048
"""Bounds of the memo: blocks beyond this size are rare, and decoding them again is cheaper than keeping them."""

_STATIC: dict[tuple[bytes, bytes], int] = {}
_STATIC_NAMES: dict[bytes, int] = {}
for _index, (_name, _value) in enumerate(HeaderTable.STATIC_TABLE, 1):
    _STATIC.setdefault((_name, _value), _index)
    _STATIC_NAMES.setdefault(_name, _index)

_NEVER_INDEXED = frozenset({b"authorization", b"proxy-authorization", b"cookie", b"set-cookie"})


def _integer(value: int, prefix_bits: int, pattern: int) -> bytes:
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes((pattern | value,))
    out, value = [pattern | limit], value - limit
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_field(name: bytes, value: bytes) -> bytes:
    """One field, as an index of the static table or a literal without indexing. Names must be in lower case."""
    if index := _STATIC.get((name, value)):
        return _integer(index, 7, 0x80)
    pattern = 0x10 if name in _NEVER_INDEXED else 0x00
    start = _integer(_STATIC_NAMES.get(name, 0), 4, pattern)
    if name not in _STATIC_NAMES:
        start += _integer(len(name), 7, 0) + name
    return start + _integer(len(value), 7, 0) + value


def encode_block(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A header block that any decoder understands at any time."""
    return b"".join([encode_field(name, value) for name, value in fields])


class FieldDecoder:
    """The decoding state of one connection.

    Args:
        list_bytes: decoded size (RFC 7541: name + value + 32 per field) above which the *connection* is given up. It
            stands well above the limit at which a single request is refused, as decoding cannot be broken off without
            losing the state that all later requests need.
    """

    def __init__(self, list_bytes: int) -> None:
        self._blocks = BlockDecoder(list_bytes)
        self._memos: list[dict[bytes, object]] = []

    def memo(self, interpret: Callable[[Fields], T]) -> Memo[T]:
        """A memo of what `interpret` made of whole blocks. Its exceptions are not remembered."""
        memo = Memo(self, interpret)
        self._memos.append(memo.known)  # type: ignore[arg-type]
        return memo

    def decode(self, block: bytes) -> tuple[Fields, bool]:
        """The fields of a block, and whether the block left the table alone.

        Raises:
            ConnectionFault: not HPACK, or a bomb.
        """
        before = self._blocks.changes
        try:
            fields = self._blocks.decode(block)
        except OversizedHeaderListError as error:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "headers far beyond the limit") from error
        except (HPACKError, IndexError) as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, "not a valid header block") from error
        steady = before == self._blocks.changes
        if not steady:
            for known in self._memos:
                known.clear()
        return fields, steady


class Memo(Generic[T]):
    """Interpreted blocks by their bytes; `known` may be looked into directly by whoever is in a hurry."""

    __slots__ = ("_decoder", "_interpret", "known")

    def __init__(self, decoder: FieldDecoder, interpret: Callable[[Fields], T]) -> None:
        self._decoder = decoder
        self._interpret = interpret
        self.known: dict[bytes, T] = {}

    def decode(self, block: bytes) -> T:
        """What the block means."""
        if (found := self.known.get(block)) is not None:
            return found
        fields, steady = self._decoder.decode(block)
        meaning = self._interpret(fields)
        if steady and len(block) <= MEMO_BLOCK_BYTES:
            if len(self.known) >= MEMO_ENTRIES:
                self.known.clear()
            self.known[block] = meaning
        return meaning
