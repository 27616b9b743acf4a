"""What may be registered: which runtime the files are for, whether they can carry code, who has signed them.

None of that is taken from whoever pushes: it is told from the files in the store. Only what `core.formats` looks at is
read (names, beginnings, the whole of what must be looked into), so that a large artifact costs little. What was found
out about a manifest is remembered, as its digest names its content.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO

import msgspec

from shoal.control import signing
from shoal.control.artifacts.blobs import BlobStore
from shoal.control.artifacts.disk import telling
from shoal.control.artifacts.intake import names
from shoal.control.artifacts.intake.recognising import Nature, judge
from shoal.control.artifacts.trees import check_manifest
from shoal.control.permissions import HOW_TO_ALLOW, Permissions
from shoal.core.errors import InvalidInput, NotFound, PermissionDenied
from shoal.core.registry import FileEntry, Manifest, NewVersion, Policy

PLAIN_FILES = "files"
"""The runtime of an artifact that is no model: files that services fetch."""
HEAD_BYTES = 1024 * 1024
WHOLE = (".pt", ".pt2", ".ts", ".yaml", ".yml")
REMEMBERED = 10_000


class Admission:
    """Decides on versions-to-be.

    Args:
        blobs: where the files are.
        scratch: makes an empty folder for a while.
        permissions: who may let in what.
    """

    def __init__(
        self, blobs: BlobStore, scratch: Callable[[], AbstractContextManager[Path]], permissions: Permissions
    ) -> None:
        self._blobs = blobs
        self._scratch = scratch
        self._permissions = permissions
        self._known: OrderedDict[str, Nature] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, new: NewVersion, policy: Policy, actor: str) -> NewVersion:
        """The version as it may be registered, with the runtime and trust that its files call for.

        Raises:
            InvalidInput: it is no model, or another one than it says.
            NotFound: a file of it is not in the store (`require_blobs` looks for all of them).
            PermissionDenied: it can carry code, or asks for the network, and the actor may not let that in; or its
                signature is none of a trusted key.
            CorruptArtifact: it was signed for other files.
        """
        plain = new.runtime == PLAIN_FILES
        nature = Nature(PLAIN_FILES, "") if plain else self.nature(new.manifest)
        _agree(new.runtime, nature)
        if nature.code and not self._permissions.allows(actor, "deploy:code", new.namespace, new.model):
            raise PermissionDenied(
                f"the artifact {nature.code}, and may not be deployed", hint=HOW_TO_ALLOW, field="trust"
            )
        if nature.network and not self._permissions.allows(actor, "deploy:network", new.namespace, new.model):
            hint = "leave `network: true` out of model.yaml, or ask an owner of the namespace"
            told = "the model asks for the network, which you may not let in"
            raise PermissionDenied(told, hint=hint, field="network")
        if new.signature and policy.trusted_keys:
            signing.verify(new.manifest, new.signature, policy.trusted_keys)
        return msgspec.structs.replace(new, runtime=nature.runtime, trust="code" if nature.code else "")

    def nature(self, manifest: Manifest) -> Nature:
        """What the files of a manifest are."""
        check_manifest(manifest)
        digest = manifest.digest
        with self._lock:
            known = self._known.get(digest)
        if known is not None:
            return known
        with self._scratch() as folder:
            for file in manifest.files:
                self._sketch(file, folder)
            nature = judge(folder, (file.path for file in manifest.files))
        with self._lock:
            self._known[digest] = nature
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return nature

    def require_blobs(self, manifest: Manifest) -> None:
        """Refuse a manifest whose files are not all in the store."""
        for sha256, path in {file.sha256: file.path for file in manifest.files}.items():
            if not self._blobs.has(sha256):
                raise _absent(path)

    def _sketch(self, file: FileEntry, folder: Path) -> None:
        """Lay out as much of a file as is looked at, at its full size."""
        try:
            source = self._blobs.open(file.sha256)
        except NotFound as error:
            raise _absent(file.path) from error
        target = folder.joinpath(*names.parse(file.path))
        whole = target.suffix.lower() in WHOLE or file.size <= HEAD_BYTES
        with source, telling("the folder for files on their way in"):
            _check_size(file, source)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                _copy(source, out, file.size if whole else HEAD_BYTES)
                out.truncate(file.size)


def _agree(claimed: str, nature: Nature) -> None:
    if claimed and claimed != nature.runtime:
        told = f"the files are a model for {nature.runtime}, not for {claimed}"
        raise InvalidInput(told, hint="leave `runtime` out, or say it in model.yaml", field="runtime")


def _check_size(file: FileEntry, source: BinaryIO) -> None:
    """Refuse a size that is not the blob's, where the store can tell it."""
    if not source.seekable():
        return
    size = source.seek(0, os.SEEK_END)
    source.seek(0)
    if size != file.size:
        raise InvalidInput(
            f"{file.path[:200]!a} has {size} bytes, not {file.size}", hint="push again", field="manifest"
        )


def _copy(source: BinaryIO, out: BinaryIO, limit: int) -> None:
    while limit > 0 and (chunk := source.read(min(limit, HEAD_BYTES))):
        out.write(chunk)
        limit -= len(chunk)


def _absent(path: str) -> NotFound:
    return NotFound(f"the file {path[:200]!a} is not in the artifact store", hint="upload it first", field="manifest")
