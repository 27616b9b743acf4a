"""How the proxies of a host share the workers of a model. Pure.

What workers take at once is divided among those proxies that send just now, at least one batch each; those that do not
may have one under way, too, so that their first batch need not ask. So a proxy that is alone has all of it, and with
several there are never more batches on a host than its workers take, plus one for each proxy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")


def shares(total: int, active: Mapping[K, bool]) -> dict[K, int]:
    """How many batches each may have under way.

    Args:
        total: batches that the workers take at once.
        active: whether each proxy sends just now.

    Returns:
        At least 1 for each while there is a worker; 0 for all of them when there is none.
    """
    if total <= 0:
        return dict.fromkeys(active, 0)
    busy = sum(active.values()) or len(active)
    part = max(1, -(-total // busy)) if busy else 0
    alone = not any(active.values())
    return {key: part if sends or alone else 1 for key, sends in active.items()}
