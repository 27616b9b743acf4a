"""Requirements locks: pip's syntax, as far as it names exact versions. Pure.

    numpy==2.1.3
    httpx[http2]==0.28.1 ; python_version >= "3.11" \\
        --hash=sha256:d909fcccc110f8c7faf814ca82a9a4d816bc5a6dbfea25d6591d6985b8ba59ad

A lock names *everything* that is installed, so that the same lock gives the same environment today and in a year. What
pip would also take (ranges, URLs, files, options) is refused with its line and what to write instead. pip is never
given the user's text: it reads `Lock.text`, which is written again from what was understood here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

import msgspec

from shoal.core.errors import ConfigError

MAX_BYTES = 4 * 1024 * 1024
COMPLETE = "write the lock with `pip freeze` or `pip-compile --generate-hashes`"

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?\Z")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,99}\Z")
_MARKER = re.compile(r"[A-Za-z0-9_ .,<>=!~'\"()+-]{1,500}\Z")
_HASH = re.compile(r"--hash(?:=| +)(\S+)")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}\Z")
_PIN = re.compile(r"(?P<name>[^\[=<>!~;@ ]+) *(?:\[(?P<extras>[^\]]*)\])? *(?P<rest>.*)\Z")
_COMMENT = re.compile(r"(?:^|\s)#.*\Z")
_INSTEAD = {
    "-r": "put its lines here",
    "-c": "a lock needs no constraints: write the versions themselves",
    "-e": "an editable install changes under the worker: build a wheel, publish it, and name its version",
    "-i": "set the index in pip's own configuration (pip.conf or PIP_INDEX_URL)",
    "-f": "set it in pip's own configuration (pip.conf or PIP_FIND_LINKS)",
}
_LONG = {
    "--requirement": "-r", "--constraint": "-c", "--editable": "-e", "--index-url": "-i", "--extra-index-url": "-i",
    "--trusted-host": "-i", "--no-index": "-i", "--find-links": "-f",
}  # fmt: skip


class Pin(msgspec.Struct, frozen=True, order=True):
    """One requirement, exactly.

    Attributes:
        name: in its normal form: lower case, '-' between its words.
        version: without ``==``.
        extras: in their normal form, sorted.
        marker: for which machines it counts, or "" for all.
        hashes: ``sha256:...`` of the files that are allowed, sorted; empty for any.
    """

    name: str
    version: str
    extras: tuple[str, ...] = ()
    marker: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def requirement(self) -> str:
        """``name[extra]==version``."""
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        return f"{self.name}{extras}=={self.version}"

    def __str__(self) -> str:
        marker = f" ; {self.marker}" if self.marker else ""
        return self.requirement + marker + "".join(f" --hash={each}" for each in self.hashes)


class Lock(msgspec.Struct, frozen=True):
    """All pins of an environment, sorted."""

    pins: tuple[Pin, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The canonical form: one line per pin."""
        return tuple(map(str, self.pins))

    @property
    def text(self) -> str:
        """The canonical form, as pip reads it."""
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def hashed(self) -> bool:
        """Whether every file is known beforehand."""
        return all(each.hashes for each in self.pins)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment is made for, besides its lock.

    Attributes:
        python: implementation and minor version, such as ``cpython-3.11``.
        platform: such as ``linux-x86_64``.
        shoal: version and content of Shoal's own package.
        needs: what Shoal brings along unless the lock names it, as ``name==version``, sorted.
    """

    python: str
    platform: str
    shoal: str
    needs: tuple[str, ...]


def environment_digest(lock: Lock, target: Target) -> str:
    """The name of an environment: 64 hexadecimal digits, the same for the same lock and target."""
    return hashlib.sha256(msgspec.json.encode((1, lock.lines, target))).hexdigest()


def normal_name(name: str) -> str:
    """The normal form of a distribution's name: ``Ruamel.YAML`` is ``ruamel-yaml``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str, name: str = "requirements.lock") -> Lock:
    """Read a lock.

    Args:
        text: its lines.
        name: what errors call it.

    Raises:
        ConfigError: every line that is not an exact version, with its number and what to write instead.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(f"{name}: it has {len(text)} characters, at most {MAX_BYTES} are read")
    problems: list[tuple[int, str, str]] = []
    found: dict[tuple[str, str], tuple[int, Pin]] = {}
    for number, line in _logical_lines(text):
        try:
            pin = _pin(line)
            first, _ = found.setdefault((pin.name, pin.marker), (number, pin))
            if first != number:
                raise ConfigError(f"{pin.name} is there twice, first in line {first}", hint="keep one of them")
        except ConfigError as error:
            problems.append((number, error.message, error.hint))
    pins = tuple(sorted(pin for _, pin in found.values()))
    if not problems and any(pin.hashes for pin in pins):
        problems = [(at, f"{pin.name} has no --hash, others have", COMPLETE) for at, pin in found.values()
                    if not pin.hashes]  # fmt: skip
    if problems:
        raise _complaint(problems, name)
    return Lock(pins)


def _complaint(problems: list[tuple[int, str, str]], name: str) -> ConfigError:
    lines = [f"{name}:{number}: {message}" for number, message, _ in problems]
    hints = dict.fromkeys(hint for _, _, hint in problems if hint)
    return ConfigError("\n".join(lines), hint="; ".join(hints), field="requirements")


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with what continues them, without comments; the number is that of the first."""
    start, parts = 0, list[str]()
    for number, line in enumerate([*re.split(r"\r\n|\r|\n", text), ""], 1):
        start = start if parts else number
        comment = line.lstrip().startswith("#")
        if not comment and line.endswith("\\"):
            parts.append(line[:-1])
            continue
        joined = _COMMENT.sub("", " ".join([*parts, "" if comment else line])).strip()
        parts = []
        if joined:
            yield start, joined


def _pin(line: str) -> Pin:
    _refuse_options(line)
    head, *options = re.split(r"\s(?=--?[A-Za-z])", line)
    given = [_hash(each.strip()) for each in options]
    body, semicolon, marker = head.partition(";")
    marker = " ".join(marker.split())
    if semicolon and not _MARKER.match(marker):
        raise ConfigError(f"the marker {marker[:80]!a} cannot be read", hint="such as ; python_version < '3.12'")
    name, extras, version = _exact(body.strip())
    return Pin(name, version, extras, marker, tuple(sorted(set(given))))


def _refuse_options(line: str) -> None:
    if not line.startswith("-"):
        return
    option = re.split(r"[\s=]", line, maxsplit=1)[0]
    short = _LONG.get(option, option[:2])
    raise ConfigError(
        f"{option[:40]} is not read in a lock", hint=_INSTEAD.get(short, "write name==version lines only")
    )


def _hash(option: str) -> str:
    found = _HASH.fullmatch(option)
    if found is None:
        raise ConfigError(f"the option {option[:40]!a} is not read in a lock", hint="only --hash=sha256:... may follow")
    if not _SHA256.match(found[1]):
        raise ConfigError(f"{found[1][:80]!a} is no hash that is read here", hint="write sha256: and 64 digits")
    return found[1]


def _exact(body: str) -> tuple[str, tuple[str, ...], str]:
    found = _PIN.match(body)
    if found is None or not _NAME.match(found["name"]) or found["rest"].startswith("@") or "://" in body:
        raise ConfigError(
            f"{body[:80]!a} is not name==version",
            hint="URLs, repositories and files are not reproducible: publish a wheel, and name its version",
        )
    extras = [each.strip() for each in (found["extras"] or "").split(",") if each.strip()]
    if not all(_NAME.match(each) for each in extras):
        raise ConfigError(f"the extras of {found['name']} cannot be read", hint="such as httpx[http2]==0.28.1")
    return normal_name(found["name"]), tuple(sorted({normal_name(each) for each in extras})), _version(found)


def _version(found: re.Match[str]) -> str:
    name, rest = found["name"], found["rest"].strip()
    version = rest.removeprefix("==").strip()
    if rest.startswith("==") and version.endswith(".*"):
        raise ConfigError(f"{name} is pinned to a range, {rest[:80]}", hint=f"name one version; {COMPLETE}")
    if not rest.startswith("==") or not _VERSION.match(version):
        told = f"asks for {rest[:80]!a}, not for one exact version" if rest else "has no version"
        raise ConfigError(f"{name} {told}", hint=f"write {name}==VERSION; {COMPLETE}")
    return version
