"""Tokens of issuers at the control port."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import tokens
from support.control_world import World, world
from support.tokens import OTHER, token

ISSUER = {
    "issuer": tokens.NAME,
    "audience": "shoal",
    "algorithms": ["RS256"],
    "grants": {"fraud-team": [{"permissions": ["viewer"], "namespace": "fraud"}]},
}


@pytest.fixture
def trusting(tmp_path: Path) -> Iterator[World]:
    keys = tmp_path / "keys.json"
    keys.write_bytes(tokens.key_set())
    with world(tmp_path / "home", issuers=[{**ISSUER, "keys": str(keys)}]) as made:
        yield made


def told(world: World, text: str, path: str = "/v1/models") -> tuple[int, Any]:
    """Status and answer, once the issuer's keys are there."""
    until = time.monotonic() + 20
    while True:
        answer = world.ask("GET", path, headers={"authorization": f"Bearer {text}"} if text else {})
        if answer.status_code != 503 or time.monotonic() > until:
            return answer.status_code, answer.json()
        time.sleep(0.01)


def test_a_token_stands_for_what_its_claims_grant(trusting: World) -> None:
    good = token(groups=["fraud-team"])
    assert told(trusting, good, "/v1/models?namespace=fraud")[0] == 200
    assert told(trusting, good, "/v1/audit")[0] in (403, 404)
    assert told(trusting, token(groups=["others"]), "/v1/models/fraud/card-check")[0] == 404


def test_without_a_token_or_with_a_forged_one_nobody_is_let_in(trusting: World) -> None:
    assert told(trusting, "")[0] == 401
    for forged in (token(OTHER), token(aud="other"), tokens.raw({"alg": "none"}, tokens.claims(), b""), "a.b.c"):
        assert told(trusting, forged)[0] in (401, 429)
