"""A file of API keys, for nodes that no control tells whom to let in: what is kept of each key, never the key.

    keys:
    - id: k4mvr2x7hq5a
      name: ci
      sha256: 9f2c...
      grants:
      - permissions: [caller]
        namespace: default
        model: '*'

`shoal keys create --file` adds one and prints the key. Taking one out revokes it.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path

import msgspec
import yaml

from shoal.core.access import AccessTable, KeyRecord, expand
from shoal.core.errors import ConfigError

FIELD = "auth.keys_file"
MAX_BYTES = 16 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class _Record(KeyRecord, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record in which nothing is mistyped."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: tuple[_Record, ...] = ()


def read_keys(path: Path) -> AccessTable:
    """The keys of a file.

    Raises:
        ConfigError: it cannot be read, everybody on this machine can read or change it, or something in it is wrong.
    """
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"the keys file {path} cannot be read: {error.strerror}", field=FIELD) from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        told = f"the keys file {path} can be read or changed by others on this machine"
        raise ConfigError(told, hint=f"chmod 600 {path}", field=FIELD)
    if len(data) > MAX_BYTES:
        raise ConfigError(f"the keys file {path} has more than {MAX_BYTES} bytes", field=FIELD)
    return AccessTable(keys=_parse(data, path), revision=1)


def add_key(path: Path, record: KeyRecord) -> None:
    """Add a key; the file is made for its owner alone if it is not there.

    Raises:
        ConfigError: what is there is no keys file, or it cannot be written.
    """
    known = read_keys(path).keys if path.exists() else ()
    text = yaml.safe_dump({"keys": [msgspec.to_builtins(each) for each in (*known, record)]}, sort_keys=False)
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 600
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise ConfigError(f"the keys file {path} cannot be written: {error.strerror}", field=FIELD) from error


def _parse(data: bytes, path: Path) -> tuple[KeyRecord, ...]:
    try:
        records = msgspec.convert(yaml.safe_load(data) or {}, _File).keys
        for record in records:
            for grant in record.grants:
                expand(grant.permissions)
    except yaml.YAMLError:
        raise ConfigError(f"the keys file {path} is not YAML", field=FIELD) from None
    except (msgspec.ValidationError, ValueError, RecursionError) as error:
        raise ConfigError(f"the keys file {path} is wrong: {error}", field=FIELD) from error
    if wrong := next((each.id for each in records if not _DIGEST.fullmatch(each.sha256)), None):
        raise ConfigError(f"the keys file {path} is wrong: the sha256 of {wrong} is not one", field=FIELD)
    if len({record.id for record in records}) < len(records):
        raise ConfigError(f"the keys file {path} is wrong: two keys have the same id", field=FIELD)
    return records
