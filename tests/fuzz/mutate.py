"""Mutators that keep an input's outer form, so that what lies behind the first check is reached too.

All are functions of (data, random): equal seeds make equal inputs. `havoc` knows nothing; `tokens` knows words, numbers
and brackets; `records` protobuf; `http2_frames` and `ipc_frames` keep the lengths of their frames right; `gzipped`
changes what is inside.
"""

from __future__ import annotations

import contextlib
import gzip
import re
import struct
import zlib
from collections.abc import Sequence
from random import Random

from fuzz.target import Mutate

_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[A-Za-z_][\w-]*|[-+]?[0-9][0-9.eE+-]*|\s+|.', re.DOTALL)
_EDGES = (
    b"0", b"-1", b"1.5", b"1e400", b"-0.0", b"9223372036854775807", b"9223372036854775808", b"18446744073709551616",
    b"1e-400", b"true", b"null", b'""', b'"\\ud800"', b'"\\u0000"', b"[]", b"{}", b"[[", b"]]", b"[[[[[[[[[", b",",
    b"NaN", b"Infinity", b'"NaN"', b"\xff", b"\x00", b"\xef\xbb\xbf", b" ", b"\r\n", b"\t",
)  # fmt: skip


def havoc(data: bytes, random: Random) -> bytes:
    """A few changes of single bytes and slices."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 8))):
        at = random.randrange(len(out) + 1)
        end = min(len(out), at + random.choice((1, 1, 2, 4, 16, 64)))
        match random.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << random.randrange(8)
            case 1 if at < len(out):
                out[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
            case 2:
                del out[at:end]
            case 3:
                out[at:at] = out[at:end] * random.choice((1, 1, 3, 16))
            case 4:
                out[at:at] = random.choice(_EDGES)
            case _:
                out[at:end] = random.randbytes(end - at)
    return bytes(out)


def tokens(*words: bytes) -> Mutate:
    """A mutator of text: changes, doubles, moves and drops whole tokens.

    Args:
        words: what stands for something in this language.
    """
    choices = (*_EDGES, *words)

    def mutate(data: bytes, random: Random) -> bytes:
        if random.random() < 0.2:
            return havoc(data, random)
        found = _TOKEN.findall(data) or [b""]
        for _ in range(random.choice((1, 1, 2, 3))):
            at = random.randrange(len(found))
            match random.randrange(5):
                case 0:
                    found[at] = random.choice(choices)
                case 1:
                    found.insert(at, random.choice(choices))
                case 2:
                    del found[at : at + random.choice((1, 1, 2, 5))]
                    found = found or [b""]
                case 3:
                    end = at + random.choice((1, 2, 4, 8, 20))
                    found[at:at] = found[at:end] * random.choice((1, 2, 30))
                case _:
                    other = random.randrange(len(found))
                    found[at], found[other] = found[other], found[at]
        return b"".join(found)

    return mutate


def after(count: int, inner: Mutate) -> Mutate:
    """A mutator for inputs whose first bytes say how the check is done, not what is checked."""

    def mutate(data: bytes, random: Random) -> bytes:
        head = data[:count].ljust(count, b"\0")
        if random.random() < 0.15:
            head = random.randbytes(count)
        return head + inner(data[count:], random)

    return mutate


def shuffled(items: list[bytes], change: Mutate, random: Random) -> list[bytes]:
    """A list of parts with one dropped, doubled, moved or changed."""
    items = list(items) or [b""]
    at = random.randrange(len(items))
    match random.randrange(6):
        case 0:
            del items[at]
        case 1:
            items[at:at] = [items[at]] * random.choice((1, 1, 2, 20))
        case 2:
            items.insert(random.randrange(len(items)), items.pop(at))
        case _:
            items[at] = change(items[at], random)
    return items


def records(data: bytes, random: Random) -> bytes:
    """Protobuf: the fields of a message, at a random depth, lengths kept right."""
    fields = _fields(data)
    if fields is None or random.random() < 0.1:
        return havoc(data, random)
    return b"".join(shuffled(fields, _change_field, random))


def _change_field(field: bytes, random: Random) -> bytes:
    if not field:
        return varint(random.randrange(128)) + random.randbytes(4)
    key, wire, body = _open_field(field)
    if random.random() < 0.1:
        key = random.choice((1, 2, 3, 4, 5, 6, 7, 8, 99)) << 3 | wire
    if wire == 2:
        deeper = records if random.random() < 0.8 else havoc
        body = deeper(body, random)
        return varint(key) + varint(len(body)) + body
    if wire == 0:
        return varint(key) + varint(random.choice((0, 1, 2, 127, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)))
    return varint(key) + random.randbytes(len(body))


def _open_field(field: bytes) -> tuple[int, int, bytes]:
    key, at = _read_varint(field, 0)
    if key & 7 == 2:
        _, at = _read_varint(field, at)
    return key, key & 7, field[at:]


def _fields(data: bytes) -> list[bytes] | None:
    """The fields of a message as they stand, or None if it is none."""
    found, at = [], 0
    try:
        while at < len(data):
            begin = at
            key, at = _read_varint(data, at)
            wire = key & 7
            if wire == 2:
                length, at = _read_varint(data, at)
                at += length
            elif wire == 0:
                _, at = _read_varint(data, at)
            elif wire in (1, 5):
                at += 8 if wire == 1 else 4
            else:
                return None
            if at > len(data):
                return None
            found.append(data[begin:at])
    except IndexError:
        return None
    return found


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value, at
        shift += 7


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def http2_frames(data: bytes, random: Random) -> bytes:
    """HTTP/2 frames after the preface: types, flags, streams and payloads, lengths kept right."""
    found, at = [], 0
    while len(data) - at >= 9:
        end = at + 9 + int.from_bytes(data[at : at + 3], "big")
        found.append(data[at:end])
        at = end
    return b"".join(shuffled(found, _change_frame, random)) if random.random() < 0.95 else havoc(data, random)


def _change_frame(frame: bytes, random: Random) -> bytes:
    frame = frame.ljust(9, b"\0")
    kind, flags, stream, payload = frame[3], frame[4], int.from_bytes(frame[5:9], "big"), frame[9:]
    match random.randrange(5):
        case 0:
            kind = random.randrange(11)
        case 1:
            flags ^= 1 << random.randrange(8)
        case 2:
            stream = random.choice((0, 1, 2, 3, 5, 7, 99, (1 << 31) - 1, stream + 2))
        case _:
            payload = havoc(payload, random)
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + (stream & 0xFFFFFFFF).to_bytes(4, "big") + payload


def ipc_frames(data: bytes, random: Random) -> bytes:
    """Our frames between processes: headers and payloads, lengths kept right."""
    found, at = [], 0
    while len(data) - at >= 8:
        header, payload = struct.unpack_from("<II", data, at)
        end = at + 8 + header + payload
        found.append(data[at:end])
        at = end
    return b"".join(shuffled(found, _change_ipc_frame, random)) if random.random() < 0.9 else havoc(data, random)


def _change_ipc_frame(frame: bytes, random: Random) -> bytes:
    frame = frame.ljust(8, b"\0")
    (length,) = struct.unpack_from("<I", frame)
    header, payload = frame[8 : 8 + length], frame[8 + length :]
    if random.random() < 0.8:
        header = havoc(header, random)
    else:
        payload = havoc(payload, random)
    return struct.pack("<II", len(header), len(payload)) + header + payload


def gzipped(data: bytes, random: Random) -> bytes:
    """A gzip member whose content, not its form, is changed; at times its form."""
    if random.random() < 0.5:
        with contextlib.suppress(OSError, EOFError, zlib.error):
            return gzip.compress(havoc(gzip.decompress(data)[:2048], random), random.choice((0, 1, 9)), mtime=0)
    return havoc(data, random)


def lengths_kept(parts: Sequence[bytes]) -> bytes:
    """gRPC messages of these contents, uncompressed."""
    return b"".join(struct.pack(">BI", 0, len(part)) + part for part in parts)


def grpc_messages(data: bytes, random: Random) -> bytes:
    """gRPC message frames: flags and contents, lengths kept right."""
    found, at = [], 0
    while len(data) - at >= 5:
        end = at + 5 + int.from_bytes(data[at + 1 : at + 5], "big")
        found.append(data[at:end])
        at = end
    return b"".join(shuffled(found, _change_message, random)) if random.random() < 0.8 else havoc(data, random)


def _change_message(message: bytes, random: Random) -> bytes:
    flag, body = message[:1] or b"\0", message[5:]
    if random.random() < 0.2:
        flag = bytes((random.choice((0, 1, 2, 255)),))
    body = gzipped(body, random) if flag == b"\1" else havoc(body, random)
    return flag + len(body).to_bytes(4, "big") + body
