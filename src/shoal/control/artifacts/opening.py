"""From a URL to a store."""

from __future__ import annotations

from pathlib import Path

from shoal.control.artifacts.blobs import BlobStore
from shoal.control.artifacts.folder import FolderStore
from shoal.control.artifacts.urls import parse_store_url
from shoal.core.errors import ConfigError


def open_store(url: str) -> BlobStore:
    """The artifact store at a URL (see `urls`); a folder is made if it is not there.

    Raises:
        ConfigError: the URL is wrong, or needs a library that is not installed.
        ShoalError: the folder cannot be used.
    """
    address = parse_store_url(url)
    if isinstance(address, Path):
        return FolderStore(address)
    try:
        from shoal.control.artifacts.objects import ObjectStore  # loads obstore: only for those who need it
    except ImportError as error:
        hint = "pip install 'shoal[control]'"
        raise ConfigError(f"{address} needs the library obstore, which is not installed", hint=hint) from error
    return ObjectStore(address)
