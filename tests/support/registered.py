"""Versions in a registry, in one line."""

from __future__ import annotations

import hashlib
from typing import Any

from shoal.core.registry import FileEntry, Manifest, NewVersion, Version


def manifest(content: str) -> Manifest:
    """One file with this content."""
    data = content.encode()
    return Manifest((FileEntry("model.onnx", len(data), hashlib.sha256(data).hexdigest()),))


def push(registry: Any, model: str, namespace: str = "default", **fields: Any) -> Version:
    """Register a version with a content of its own, and give it stages."""
    content = f"{namespace}/{model}/{registry.position()}"
    stages = fields.pop("stages", ())
    new = NewVersion(namespace=namespace, model=model, manifest=manifest(content), runtime="onnx", **fields)
    version: Version = registry.register(new)
    for stage in stages:
        registry.move_stage(namespace, model, stage, str(version.version))
    return version
