"""How large a campaign is and where its chance comes from: the environment says, and one command replays what was run.

SHOAL_CHAOS_LONG=1      the long forms
SHOAL_CHAOS_SEED=N      the seed; by default 7 in the short form, and drawn anew for each campaign in the long one
SHOAL_CHAOS_SIZE=N      another size than the form's own, whatever the campaign counts
"""

from __future__ import annotations

import os
import random

LONG = bool(os.environ.get("SHOAL_CHAOS_LONG"))
PATIENCE = 3600 if LONG else 120
"""Seconds that one campaign may take."""


def seed() -> int:
    """The seed of the next campaign."""
    given = os.environ.get("SHOAL_CHAOS_SEED")
    if given:
        return int(given)
    return random.SystemRandom().randrange(1_000_000) if LONG else 7


def size(short: int, long: int) -> int:
    """How many of what a campaign counts."""
    given = os.environ.get("SHOAL_CHAOS_SIZE")
    return int(given) if given else long if LONG else short
