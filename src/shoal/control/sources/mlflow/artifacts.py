"""Where the files of a version are, and those that the server itself hands out.

Whoever may register in MLflow chooses the address of the files, so it is judged like one that a user gives: files of
this machine and buckets only as the policy allows, everything else not at all.
"""

from __future__ import annotations

import re
from functools import partial
from typing import NoReturn

import msgspec

from shoal.control.sources.addresses import BucketSource, FolderSource, parse_address
from shoal.control.sources.mlflow.server import Server
from shoal.control.sources.staging import Staging, parts_of
from shoal.core.errors import InvalidInput, Unavailable, Unsupported

_API = "/api/2.0/mlflow-artifacts/artifacts"
_PROXIED = re.compile(r"mlflow-artifacts:(?://([^/]*))?/(.*)\Z", re.DOTALL)


class Proxied(msgspec.Struct, frozen=True):
    """A folder that the tracking server hands out."""

    path: str


Place = Proxied | FolderSource | BucketSource


class File(msgspec.Struct, frozen=True):
    path: str
    is_dir: bool = False
    file_size: int = 0


class Page(msgspec.Struct, frozen=True):
    """One page of a folder's list."""

    files: tuple[File, ...] = ()
    next_page_token: str = ""


def place_of(uri: str, authority: str) -> Place:
    """What MLflow's address of the files means.

    Args:
        authority: host and port of the tracking server.

    Raises:
        InvalidInput, Unsupported: it is malformed, names another server, or is of a kind that is not fetched.
    """
    match = _PROXIED.match(uri)
    if match is None:
        place = parse_address(uri)
        if not isinstance(place, FolderSource | BucketSource):
            raise Unsupported(f"the files of this version are at {uri[:100]!a}, which is not fetched", hint=_WHERE)
        return place
    if match[1] and match[1] != authority:
        _refuse(uri, "are at another server than the tracking server")
    path = match[2].removesuffix("/")
    if "%" in path or "?" in path or "#" in path:
        _refuse(uri, "have an address with '%', '?' or '#'")
    return Proxied("/".join(parts_of(path)))


def fetch_proxied(place: Proxied, server: Server, staging: Staging) -> None:
    """Copy a folder that the server hands out, with all folders in it.

    Raises:
        ShoalError: the server fails, names a file wrongly, or a budget is used up.
    """
    _copy_folder(place.path, "", server, staging)


def _copy_folder(root: str, prefix: str, server: Server, staging: Staging) -> None:
    for each in _list(root, prefix, server, staging):
        path = prefix + _name(each)
        if each.is_dir:
            parts_of(path)
            _copy_folder(root, f"{path}/", server, staging)
        else:
            staging.add(path, each.file_size, partial(server.read, f"{_API}/{root}/{path}"))


def _list(root: str, prefix: str, server: Server, staging: Staging) -> list[File]:
    found: list[File] = []
    query = {"path": f"{root}/{prefix}".removesuffix("/")}
    tokens = {""}
    while True:
        staging.visit()
        page = server.ask(_API, query, Page)
        for each in page.files:
            staging.visit()
            found.append(each)
        if not page.next_page_token:
            return found
        if page.next_page_token in tokens:
            raise Unavailable("the MLflow server lists a folder without an end", hint="check the server")
        tokens.add(page.next_page_token)
        query = query | {"page_token": page.next_page_token}


def _name(file: File) -> str:
    """The name of an entry, which is relative to the folder that was asked for."""
    if "/" in file.path:
        raise InvalidInput(f"MLflow lists {file.path[:100]!a} where a name was expected", hint=_WHERE, field="source")
    if file.file_size < 0:
        raise InvalidInput(f"MLflow gives {file.path[:100]!a} a negative size", hint=_WHERE, field="source")
    return file.path


_WHERE = "artifacts that the tracking server hands out (mlflow-artifacts:), allowed folders and allowed buckets are"


def _refuse(uri: str, why: str) -> NoReturn:
    raise InvalidInput(f"the files of this version {why}: {uri[:100]!a}", hint=_WHERE, field="source")
