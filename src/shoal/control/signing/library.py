"""The one module that imports `model_signing`: its own hashing is replaced by digests that are known already.

The library hashes folders itself, leaves files of Git out and follows what a signature says about files to be ignored.
`_Known` stands in the place of that: exactly the files of our manifest are signed, and exactly those are compared. So
nothing is read twice, and an artifact can be checked before its files are anywhere. Needs the extra `signing`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import model_signing.manifest
import model_signing.signing
import model_signing.verifying
from cryptography.exceptions import InvalidSignature

from shoal.control.artifacts.disk import telling
from shoal.core.registry import Manifest

_library: Any = model_signing
"""Its annotations are partial, and do not foresee another hashing."""
_WHOLE_FILES = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
_NOT_GENUINE = (InvalidSignature, ValueError, KeyError, TypeError, AttributeError, IndexError)
"""What the library raises at signatures that are altered, foreign or malformed."""


def sign_manifest(manifest: Manifest, name: str, private_key: Path) -> str:
    """The signature of a manifest's files; `name` is written into it for people to read."""
    config = _library.signing.Config().use_elliptic_key_signer(private_key=private_key)
    with _temporary_folder() as folder:
        target = Path(folder, "signature")
        config.set_hashing_config(_Known(manifest, name)).sign(folder, target)
        return target.read_text("utf-8")


def is_genuine(manifest: Manifest, signature: str, public_key: bytes) -> bool:
    """Whether the owner of a key has signed exactly the files of a manifest."""
    with _temporary_folder() as folder:
        key, text = Path(folder, "key"), Path(folder, "signature")
        key.write_bytes(public_key)
        text.write_text(signature, "utf-8")
        config = _library.verifying.Config().use_elliptic_key_verifier(public_key=key)
        try:
            config.set_hashing_config(_Known(manifest, "")).verify(folder, text)
        except _NOT_GENUINE:
            return False
        return True


@contextmanager
def _temporary_folder() -> Iterator[str]:
    """Where the library finds and leaves its files; private keys are never among them."""
    with telling("the folder for temporary files"), tempfile.TemporaryDirectory(prefix="shoal-signature-") as folder:
        yield folder


class _Known:
    """Takes the place of `model_signing.hashing.Config`."""

    def __init__(self, manifest: Manifest, name: str) -> None:
        self._manifest = manifest
        self._name = name

    def hash(self, model_path: object, *, files_to_hash: object = None) -> Any:
        """The manifest, in the library's words."""
        words = _library.manifest
        items = [
            words.FileManifestItem(path=each.path, digest=words.hashing.Digest("sha256", bytes.fromhex(each.sha256)))
            for each in self._manifest.files
        ]
        return words.Manifest(self._name, items, words.SerializationType.from_args(_WHOLE_FILES))

    def add_ignored_paths(self, *, model_path: object, paths: Iterable[object]) -> None:
        """Nothing is ignored, whatever a signature says."""
