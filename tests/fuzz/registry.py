"""All targets by name."""

from __future__ import annotations

from fuzz import body_targets, wire_targets
from fuzz.target import Target

TARGETS: dict[str, Target] = {each.name: each for each in (*wire_targets.TARGETS, *body_targets.TARGETS)}
