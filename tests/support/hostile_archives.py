"""Archives that nobody packs by accident: each is made here, byte by byte, with why it must be refused.

`TarBuilder` and `ZipBuilder` write what they are told, right or wrong.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

ONNX = b"\x08\x07" + b"onnx" * 20


class Hostile(NamedTuple):
    """An archive.

    Attributes:
        label: what it tries.
        name: of the file.
        data: the file.
        told: part of the sentence that refuses it.
    """

    label: str
    name: str
    data: bytes
    told: str


class TarBuilder:
    """A tar archive, member by member."""

    def __init__(self) -> None:
        self._out = io.BytesIO()

    def add(
        self,
        name: bytes | str,
        data: bytes = b"",
        kind: bytes = b"0",
        link: bytes = b"",
        *,
        size: bytes | None = None,
        mode: int = 0o644,
        magic: bytes = b"ustar\x0000",
        prefix: bytes = b"",
        checksum: bytes | None = None,
    ) -> TarBuilder:
        raw = name.encode() if isinstance(name, str) else name
        header = bytearray(512)
        header[0 : len(raw[:100])] = raw[:100]
        header[100:108] = b"%07o\0" % mode
        header[108:124] = b"0000000\x000000000\0"
        header[124:136] = size if size is not None else b"%011o\0" % len(data)
        header[136:148] = b"00000000000\0"
        header[148:156] = b" " * 8
        header[156:157] = kind
        header[157 : 157 + len(link)] = link
        header[257:265] = magic
        header[345 : 345 + len(prefix)] = prefix
        header[148:156] = checksum or b"%06o\0 " % sum(header)
        self._out.write(bytes(header) + data + bytes(-len(data) % 512))
        return self

    def pax(self, kind: bytes = b"x", **records: str) -> TarBuilder:
        lines = [pax_record(key.replace("__", "."), value) for key, value in records.items()]
        return self.add("pax", b"".join(lines), kind)

    def raw(self, data: bytes) -> TarBuilder:
        self._out.write(data)
        return self

    def end(self) -> bytes:
        """The archive, ended as it should be."""
        return self._out.getvalue() + bytes(1024)

    def cut(self) -> bytes:
        """The archive without an end."""
        return self._out.getvalue()


def pax_record(key: str, value: str) -> bytes:
    body = f" {key}={value}\n".encode()
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return str(length).encode() + body


@dataclass
class ZipBuilder:
    """A zip archive, entry by entry; what the directory says may differ from what stands there."""

    out: io.BytesIO = field(default_factory=io.BytesIO)
    directory: list[bytes] = field(default_factory=list)

    def add(
        self,
        name: bytes | str,
        data: bytes = b"",
        *,
        mode: int = stat.S_IFREG | 0o644,
        flags: int = 0x800,
        method: int = 8,
        crc: int | None = None,
        unpacked: int | None = None,
        local_name: bytes | None = None,
        local_crc: int | None = None,
        packed_data: bytes | None = None,
        offset: int | None = None,
        extra: bytes = b"",
        tail: bytes = b"",
    ) -> ZipBuilder:
        raw = name.encode() if isinstance(name, str) else name
        packed = packed_data if packed_data is not None else (deflate(data) if method == 8 else data)
        crc = zlib.crc32(data) if crc is None else crc
        size = len(data) if unpacked is None else unpacked
        at = self.out.tell() if offset is None else offset
        local = raw if local_name is None else local_name
        common = (flags, method, 0, 0)
        sums = (crc if local_crc is None else local_crc, len(packed), size)
        if offset is None:
            self.out.write(
                struct.pack("<4s5H3L2H", b"PK\3\4", 20, *common, *sums, len(local), 0) + local + packed + tail
            )
        self.directory.append(
            struct.pack(
                "<4s6H3L5H2L",
                b"PK\1\2",
                0x314,
                20,
                *common,
                crc,
                len(packed),
                size,
                len(raw),
                len(extra),
                0,
                0,
                0,
                mode << 16,
                at,
            )
            + raw
            + extra
        )
        return self

    def end(self, *, entries: int | None = None, comment: bytes = b"", shift: int = 0) -> bytes:
        directory = b"".join(self.directory)
        count = len(self.directory) if entries is None else entries
        at = self.out.tell() + shift
        tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), at, len(comment))
        return self.out.getvalue() + directory + tail + comment


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


NAMES: list[tuple[str, str, str]] = [
    ("traversal", "../evil.onnx", "leads upwards"),
    ("traversal inside", "a/../../evil.onnx", "leads upwards"),
    ("traversal at the end", "a/..", "leads upwards"),
    ("absolute", "/tmp/evil.onnx", "is absolute"),
    ("double slash", "a//evil.onnx", "has an empty part"),
    ("dot inside", "a/./evil.onnx", "has an empty part"),
    ("backslash", "a\\..\\evil.onnx", "backslash"),
    ("drive", "C:/evil.onnx", "drive letter"),
    ("network share", "\\\\host\\evil.onnx", "backslash"),
    ("newline", "evil\n.onnx", "control characters"),
    ("escape sequence", "evil\x1b[2J.onnx", "control characters"),
    ("right-to-left", "evil\u202exnno.py", "control characters"),
    ("zero width", "evil\u200b.onnx", "control characters"),
    ("full-width dots", "\uff0e\uff0e/evil.onnx", "leads elsewhere"),
    ("full-width slash", "..\uff0fevil.onnx", "leads elsewhere"),
    ("percent-encoded", "%2e%2e/evil.onnx", "leads elsewhere"),
    ("twice percent-encoded", "%252e%252e/evil.onnx", "leads elsewhere"),
    ("percent-encoded slash", "a%2f..%2fevil.onnx", "leads elsewhere"),
    ("long name", "n" * 256, "longer than 255 bytes"),
    ("long path", "/".join(["d" * 200] * 6), "longer than 1024 bytes"),
    ("space at the end", "evil.onnx ", "space"),
    ("space before", " /evil.onnx", "space"),
]
"""Names that no format may bring in."""

CLASHES: list[tuple[str, list[str], str]] = [
    ("twice", ["a.onnx", "a.onnx"], "is there twice"),
    ("case", ["a.onnx", "A.onnx"], "clashes with"),
    ("case of a folder", ["dir/a", "DIR/b"], "clashes with"),
    ("unicode forms", ["caf\u00e9", "cafe\u0301"], "clashes with"),
    ("ligature", ["\ufb01le", "file"], "clashes with"),
    ("sharp s", ["stra\u00dfe", "STRASSE"], "clashes with"),
    ("file, then folder", ["a", "a/b"], "both a file and a folder"),
    ("folder, then file", ["a/b", "a"], "both a file and a folder"),
]
"""Names that cannot lie beside each other."""


def named(names: list[str]) -> Iterator[tuple[str, bytes]]:
    """An archive of each format with members of these names."""
    tar, pax, archive = TarBuilder(), TarBuilder(), ZipBuilder()
    for name in names:
        raw = name.encode()
        if len(raw) <= 100:
            tar.add(name, ONNX)
        else:
            tar.add("././@LongLink", raw + b"\0", b"L", magic=b"ustar  \0").add(raw, ONNX, magic=b"ustar  \0")
        pax.pax(path=name).add("decoy", ONNX)
        archive.add(name, ONNX)
    yield "names.tar", tar.end()
    yield "names.tar.gz", gzip.compress(pax.end())
    yield "names.zip", archive.end()


def from_names() -> Iterator[Hostile]:
    for label, names, told in [*((label, [name], told) for label, name, told in NAMES), *CLASHES]:
        for number, (archive, data) in enumerate(named(names)):
            yield Hostile(f"{label} {('tar', 'pax', 'zip')[number]}", archive, data, told)


def from_tar() -> Iterator[Hostile]:
    def tar(label: str, builder: TarBuilder, told: str) -> Hostile:
        return Hostile(f"tar {label}", "evil.tar", builder.end(), told)

    new = TarBuilder
    yield tar("symbolic link", new().add("link", kind=b"2", link=b"/etc/passwd"), "is a symbolic link")
    yield tar("link chain", new().add("a", kind=b"2", link=b"b/" * 40).add("a/x", ONNX), "is a symbolic link")
    yield tar("hard link", new().add("a", ONNX).add("link", kind=b"1", link=b"a"), "is a hard link")
    yield tar("hard link out", new().add("link", kind=b"1", link=b"../../etc/shadow"), "is a hard link")
    yield tar("character device", new().add("null", kind=b"3"), "is a character device")
    yield tar("block device", new().add("sda", kind=b"4"), "is a block device")
    yield tar("pipe", new().add("pipe", kind=b"6"), "is a pipe")
    yield tar("GNU sparse", new().add("sparse", ONNX, b"S"), "is a sparse file")
    yield tar("pax sparse", new().pax(GNU__sparse__major="1").add("sparse", ONNX), "is a sparse file")
    yield tar("multi-volume", new().add("rest", ONNX, b"M"), "of a kind that is not known")
    yield tar("volume label", new().add("label", b"", b"V"), "of a kind that is not known")
    yield tar("NUL in a pax path", new().pax(path="a\0b").add("a", ONNX), "control characters")
    yield tar("pax size beyond the end", new().pax(size="99999").add("a", ONNX), "is cut off")
    yield tar("negative pax size", new().pax(size="-1").add("a", ONNX), "no number")
    yield tar("huge size", new().add("a", size=b"\x80" + b"\x7f" * 11), "more than")
    yield tar("negative size", new().add("a", size=b"\xff" * 12), "no number")
    yield tar("size that is no number", new().add("a", size=b"0x1000     \0"), "no number")
    yield tar("pax path for all", new().pax(b"g", path="../evil").add("a", ONNX), "to all its members")
    yield tar("two names", new().pax(path="a").pax(path="b").add("c", ONNX), "two names")
    yield tar("damaged pax", new().add("pax", b"999 path=x\n", b"x").add("a", ONNX), "damaged extended header")
    yield tar(
        "pax says twice",
        new().add("pax", pax_record("path", "a") + pax_record("path", "b"), b"x"),
        "damaged extended header",
    )
    yield tar("long pax", new().add("pax", pax_record("comment", "x" * 70_000), b"x").add("a", ONNX), "too long")
    yield tar("wrong checksum", new().add("a", ONNX, checksum=b"000001\0 "), "damaged header")
    yield tar("folder with content", new().add("a/", ONNX, b"5"), "folder with content")
    yield tar("prefix leads out", new().add("evil", ONNX, prefix=b"../.."), "leads upwards")
    yield tar("name that is no text", new().add(b"\xff\xfe.onnx", ONNX), "no text")
    yield tar("empty name", new().add("", ONNX), "is empty")
    yield tar("file that is the root", new().add("./", ONNX, b"0"), "is the root itself")
    whole = new().add("a.onnx", ONNX)
    yield Hostile("tar without end", "evil.tar", whole.cut(), "is cut off")
    yield Hostile("tar cut in a member", "evil.tar", whole.cut()[:530], "is cut off")
    yield Hostile("tar half an end", "evil.tar", whole.cut() + bytes(512) + b"x" * 512, "ends in its middle")
    yield Hostile("tar followed", "evil.tar", whole.end() + b"#!/bin/sh", "followed by something else")
    yield Hostile("second tar behind", "evil.tar", whole.end() + whole.end(), "followed by something else")
    yield Hostile("tar of nothing", "evil.tar", b"", "is cut off")
    yield Hostile("no tar", "evil.tar", b"x" * 2048, "no tar archive")


def from_streams() -> Iterator[Hostile]:
    plain = TarBuilder().add("a.onnx", ONNX * 1000).end()
    zeros = TarBuilder().add("a.onnx", ONNX + bytes(60_000_000)).end()
    packers: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("gz", gzip.compress),
        ("bz2", bz2.compress),
        ("xz", lzma.compress),
    ]
    for kind, pack in packers:
        name, packed = f"evil.tar.{kind}", pack(plain)
        yield Hostile(f"{kind} cut off", name, packed[: len(packed) // 2], "is cut off")
        yield Hostile(f"{kind} followed", name, packed + b"#!/bin/sh\n" * 9, "followed by something else")
        flipped = bytearray(packed)
        flipped[len(flipped) // 2] ^= 0x55
        yield Hostile(f"{kind} damaged", name, bytes(flipped), "")
        yield Hostile(f"{kind} bomb", name, pack(zeros), "times its size")
    yield Hostile("gzip in gzip", "evil.tar.gz", gzip.compress(gzip.compress(plain)), "")
    yield Hostile(
        "another archive than it says", "evil.tar.gz", bz2.compress(plain), "not the archive that its name says"
    )
    yield Hostile("no archive at all", "evil.zip", b"text", "not the archive that its name says")


def from_zip() -> Iterator[Hostile]:
    def archive(label: str, builder: ZipBuilder, told: str, **end: int | bytes) -> Hostile:
        return Hostile(f"zip {label}", "evil.zip", builder.end(**end), told)  # type: ignore[arg-type]

    new = ZipBuilder
    link = stat.S_IFLNK | 0o777
    yield archive("symbolic link", new().add("link", b"/etc/passwd", mode=link), "is a symbolic link")
    yield archive("pipe", new().add("pipe", mode=stat.S_IFIFO), "is a pipe")
    yield archive("device", new().add("null", mode=stat.S_IFCHR), "is a character device")
    yield archive("socket", new().add("socket", mode=stat.S_IFSOCK), "is a socket")
    yield archive("NUL in a name", new().add(b"a.onnx\0.txt", ONNX), "control characters")
    yield archive("encrypted", new().add("a.onnx", ONNX, flags=0x801), "is encrypted")
    yield archive("strongly encrypted", new().add("a.onnx", ONNX, flags=0x841), "is encrypted")
    yield archive("unknown packing", new().add("a.onnx", ONNX, method=14), "is packed in a way")
    yield archive("wrong checksum", new().add("a.onnx", ONNX, crc=1, local_crc=1), "checksum is wrong")
    yield archive("two names", new().add("a.onnx", ONNX, local_name=b"b.onnx"), "differs between")
    yield archive("two checksums", new().add("a.onnx", ONNX, local_crc=7), "differs between")
    yield archive("longer than it says", new().add("a.onnx", ONNX, unpacked=10), "bytes that it says it has")
    yield archive("shorter than it says", new().add("a.onnx", ONNX, unpacked=1000), "bytes that it says it has")
    yield archive("cut member", new().add("a.onnx", ONNX, packed_data=deflate(ONNX * 9)[:-3]), "")
    yield archive(
        "something behind a member", new().add("a.onnx", ONNX, packed_data=deflate(ONNX) + b"evil"), "something behind"
    )
    yield archive("something between", new().add("a.onnx", ONNX, tail=b"evil").add("b.onnx", ONNX), "hidden beside it")
    yield archive("something before the directory", new().add("a.onnx", ONNX, tail=b"evil"), "hidden beside it")
    yield archive("false descriptor", new().add("a.onnx", ONNX, flags=0x808, tail=b"e" * 16), "something hidden")
    yield archive("overlap", new().add("a.onnx", ONNX).add("b.onnx", ONNX, offset=0, local_name=b""), "")
    yield archive("same content twice", new().add("a.onnx", ONNX).add("a.onnx", ONNX, offset=0), "overlaps")
    quoted = new().add("a.onnx", ONNX, method=0)
    yield archive("entry inside an entry", quoted.add("b.onnx", b"x", offset=38), "")
    yield archive("folder with content", new().add("a/", ONNX, mode=stat.S_IFDIR | 0o755), "both a file and a folder")
    yield archive("folder that is a file", new().add("a", mode=stat.S_IFDIR | 0o755), "both a file and a folder")
    unicode_path = struct.pack("<HHBL", 0x7075, 5 + 6, 1, 0) + b"b.onnx"
    yield archive("unicode path of another name", new().add("a.onnx", ONNX, extra=unicode_path), "two different names")
    yield archive("bomb", new().add("a.onnx", ONNX + bytes(60_000_000)), "times its size")
    yield archive("too few entries", new().add("a.onnx", ONNX).add("b.onnx", ONNX), "behind its directory", entries=1)
    yield archive("too many entries", new().add("a.onnx", ONNX), "damaged directory", entries=2)
    yield archive("a million entries", new().add("a.onnx", ONNX), "more than", entries=65_000)
    whole = new().add("a.onnx", ONNX).end()
    yield Hostile("zip cut off", "evil.zip", whole[:-1], "is cut off")
    yield Hostile("zip without directory", "evil.zip", whole[: len(ONNX)], "is cut off")
    yield Hostile("zip followed", "evil.zip", whole + b"evil", "followed by something else")
    prefixed = b"#!/bin/sh\n" + whole
    yield Hostile("zip behind a script", "evil.zip", b"PK\3\4" + prefixed, "")
    comment = ZipBuilder().add("a.onnx", ONNX).end(comment=ZipBuilder().add("b.onnx", ONNX).end())
    yield Hostile("zip in the comment", "evil.zip", comment, "")


def corpus() -> list[Hostile]:
    """All of them."""
    return [*from_names(), *from_tar(), *from_streams(), *from_zip()]
