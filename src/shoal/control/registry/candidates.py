"""What is to be registered, checked by itself: all that can be said without looking into the database."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

from shoal.control.registry.documents import check_manifest, check_model, check_number, check_text, dump
from shoal.core.errors import InvalidInput
from shoal.core.registry import Lineage, Manifest, NewVersion, Policy, Tags, check_alias

MAX_SIGNATURE = 1024 * 1024


class Candidate(NamedTuple):
    """A checked version-to-be.

    Attributes:
        content: canonical form of its manifest.
        digest: of that.
        columns: what its row will hold, whichever number it gets.
    """

    new: NewVersion
    content: bytes
    digest: str
    columns: dict[str, Any]

    @property
    def model(self) -> tuple[str, str]:
        """Namespace and name of its model."""
        return self.new.namespace, self.new.model


def candidate(new: NewVersion) -> Candidate:
    """Check a version-to-be.

    Raises:
        InvalidInput: something of it cannot be registered; `field` says what.
    """
    check_model(new.model)
    if new.version is not None:
        check_number(new.version)
    content = check_manifest(new.manifest).encode()
    digest = hashlib.sha256(content).hexdigest()
    return Candidate(new, content, digest, {**_columns(new), "digest": digest})


def _columns(new: NewVersion) -> dict[str, Any]:
    if len(new.signature) > MAX_SIGNATURE:
        hint = f"a signature has at most {MAX_SIGNATURE} characters"
        raise InvalidInput("the signature is too long", hint=hint, field="signature")
    check_text(new.owner, "owner")
    return {
        "size": new.manifest.size,
        "runtime": check_text(new.runtime, "runtime"),
        "trust": new.trust,
        "alias": check_alias(new.alias) if new.alias else None,
        "description": check_text(new.description, "description"),
        "tags": dump(new.tags, Tags, "tags"),
        "lineage": dump(new.lineage, Lineage, "lineage"),
        "signature": new.signature,
    }


def check_lineage(lineage: Lineage, policy: Policy, namespace: str) -> None:
    """Hold a lineage against the policy.

    Raises:
        InvalidInput: fields are missing; the sentence names each.
    """
    missing = [field for field in policy.required_lineage if not getattr(lineage, field)]
    if missing:
        hint = f"say where it comes from: {', '.join(f'lineage.{field}' for field in missing)}"
        sentence = f"the namespace {namespace} wants to know more of a version: {', '.join(missing)}"
        raise InvalidInput(sentence, hint=hint, field=f"lineage.{missing[0]}")


def check_code(new: NewVersion, policy: Policy) -> None:
    """Refuse formats that carry code where the policy does.

    Raises:
        InvalidInput: it carries code, and may not.
    """
    if new.trust == "code" and not policy.allow_code:
        hint = "save it in a format without code, such as ONNX or skops"
        raise InvalidInput(f"the namespace {new.namespace} takes no formats that carry code", hint=hint, field="trust")


def blob_rows(digest: str, manifest: Manifest) -> list[dict[str, str]]:
    """References of a manifest to its blobs; a blob that holds two files is referred to once."""
    return [{"manifest": digest, "sha256": each} for each in sorted({file.sha256 for file in manifest.files})]
