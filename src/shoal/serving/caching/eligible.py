"""Which models may have a prediction cache, and what their answers depend on beside the request. Pure."""

from __future__ import annotations

from hashlib import blake2b

import msgspec

from shoal.core.model import Batching, Limits, ModelSpec


def why_not(spec: ModelSpec) -> str:
    """Why a model's answers may not be kept, as a sentence; "" if they may."""
    if not spec.deterministic:
        return f"{spec.name} is declared as not deterministic, so the same request may have another answer"
    if not spec.digest:
        return f"{spec.name} was never registered, so nothing tells whether its files are still the same"
    return ""


def prefix_of(spec: ModelSpec, *, public: bool = False) -> bytes:
    """A digest of the version's content, its name, and all its settings but those of speed and of place.

    The tenant is a part of it unless the model is public: then callers of other tenants may get the same answers.
    """
    told = msgspec.structs.replace(
        spec,
        path="",
        description="",
        batching=Batching(),
        limits=Limits(),
        placement="dedicated",
        pool="",
        pinned=False,
        warmup=(),
        tenant="" if public else spec.tenant,
    )
    return blake2b(msgspec.json.encode(told, order="sorted"), digest_size=32).digest()
