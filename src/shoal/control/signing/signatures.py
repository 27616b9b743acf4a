"""Sign the files of an artifact, and verify them: at push, and again before they are loaded.

Both speak of a `Manifest`: whoever has verified the files by their digests (the intake, the cache) need not read them
again. The variants for a folder hash its files first. Modes and times are no part of an artifact, so neither are they
of a signature. Keys do not expire: one that is not trusted any more is taken out of the policy.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from shoal.control.signing.claims import Claim, read_claim
from shoal.core.errors import ConfigError, CorruptArtifact, PermissionDenied
from shoal.core.registry import FileEntry, Manifest

if TYPE_CHECKING:
    from shoal.control.signing.keys import TrustedKey

SHOWN = 5
"""File names in one sentence."""


def sign(manifest: Manifest, private_key: Path, *, name: str = "model") -> str:
    """Sign the files of a manifest.

    Args:
        private_key: path of a PEM file; it is read here and nowhere kept.
        name: written into the signature for people to read; nothing depends on it.

    Raises:
        ConfigError: the key cannot be used, there are no files, or the library is not installed.
    """
    if not manifest.files:
        raise ConfigError("there is nothing to sign: the artifact has no files")
    with _extra():
        from shoal.control.signing import keys, library
    keys.check_private_key(private_key)
    return library.sign_manifest(manifest, name, private_key)


def verify(manifest: Manifest, signature: str, trusted_keys: Sequence[str]) -> None:
    """Check that one of the trusted keys has signed exactly the files of a manifest.

    Args:
        trusted_keys: public keys as PEM text.

    Raises:
        PermissionDenied: there is no signature, it is unreadable or of a refused form, no trusted key has made it.
        CorruptArtifact: it is genuine, but for other files.
        ConfigError: a trusted key is none, or the library is not installed.
    """
    claim = read_claim(signature)
    with _extra():
        from shoal.control.signing import keys, library
    key = _key_of(claim, keys.trusted_keys(trusted_keys))
    if not library.is_genuine(_claimed(claim), signature, key.pem):
        hint = "it was altered, or is no signature of this key; sign the files again"
        raise PermissionDenied("the signature is not genuine", hint=hint, field="signature")
    _compare(manifest, claim)


def new_key(path: Path) -> str:
    """Make a P-256 key pair: the private key goes to a new file that only its owner can read.

    Returns:
        The public key, as PEM text.

    Raises:
        ConfigError: the file is there already or cannot be written, or the library is not installed.
    """
    with _extra():
        from shoal.control.signing import keys
    return keys.new_key(path)


def sign_folder(folder: Path, private_key: Path) -> str:
    """As `sign`, for all files of a folder.

    Raises:
        CorruptArtifact: there is something in it that is no plain file.
    """
    return sign(manifest_of(folder), private_key, name=folder.name)


def verify_folder(folder: Path, signature: str, trusted_keys: Sequence[str]) -> None:
    """As `verify`, for all files of a folder."""
    verify(manifest_of(folder), signature, trusted_keys)


def manifest_of(folder: Path) -> Manifest:
    """All files of a folder, hidden ones too.

    Raises:
        CorruptArtifact: a link or a special file is among them, or one cannot be read.
    """
    try:
        return Manifest(tuple(_entry(folder, path) for path in sorted(_files(folder))))
    except OSError as error:
        raise CorruptArtifact(f"{error.filename} cannot be read: {error.strerror}") from error


@contextlib.contextmanager
def _extra() -> Iterator[None]:
    """Around imports that need the extra `signing`; they are slow, so they happen at first use."""
    try:
        yield
    except ImportError as error:
        told = f"signatures need {error.name or 'model_signing'}, which is not installed"
        raise ConfigError(told, hint="pip install 'shoal[signing]'") from error


def _files(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry.path)
            else:
                raise CorruptArtifact(f"{entry.name} is a link or a special file, which no signature covers")


def _entry(folder: Path, path: Path) -> FileEntry:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(path.relative_to(folder).as_posix(), os.fstat(file.fileno()).st_size, digest)


def _key_of(claim: Claim, keys: dict[str, TrustedKey]) -> TrustedKey:
    if not keys:
        hint = "add the public key to `trusted_keys` of the namespace's policy"
        raise PermissionDenied("no key is trusted here, so no signature is valid", hint=hint, field="trusted_keys")
    try:
        return keys[claim.key]
    except KeyError:
        hint = "sign with a trusted key, or add this one to `trusted_keys` of the namespace's policy"
        told = f"it was signed with the key {claim.key[:16]!a}, which is not trusted here"
        raise PermissionDenied(told, hint=hint, field="signature") from None


def _claimed(claim: Claim) -> Manifest:
    return Manifest(tuple(FileEntry(path, 0, digest) for path, digest in claim.files.items()))


def _compare(manifest: Manifest, claim: Claim) -> None:
    """Say how files differ from what was signed."""
    there = {each.path: each.sha256 for each in manifest.files}
    found = (
        ("not signed", there.keys() - claim.files.keys()),
        ("signed but missing", claim.files.keys() - there.keys()),
        ("changed", {path for path in there.keys() & claim.files.keys() if there[path] != claim.files[path]}),
    )
    told = "; ".join(f"{what}: {_names(paths)}" for what, paths in found if paths)
    if told:
        hint = "push the files that were signed, or sign these"
        raise CorruptArtifact(f"the signature is for other files ({told})", hint=hint, field="signature")


def _names(paths: set[str]) -> str:
    shown = ", ".join(ascii(path[:80]) for path in sorted(paths)[:SHOWN])
    return shown if len(paths) <= SHOWN else f"{shown} and {len(paths) - SHOWN} more"
