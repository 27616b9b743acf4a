"""Why a model of a shared pool is where it is, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from shoal.core.model import ModelSpec
from shoal.core.placement.quantities import size
from shoal.serving.pool.shared.lease import Lease, Stay
from shoal.serving.pool.shared.place import Place
from shoal.serving.pool.shared.remembered import Memory
from shoal.serving.pool.shared.sharing import label


def explain(pool: str, places: Sequence[Place], spec: ModelSpec, memory: Memory | None, now: float) -> list[str]:
    """See the module."""
    name = label(spec)
    leases = [lease for place in places for lease in place.leases.values() if lease.seat.label == name]
    told = [_stay(pool, lease, now) for lease in leases]
    if not told:
        told.append(f"{name} is not in memory; the next request brings it into shared pool {pool!r}")
    if memory is not None and memory.failure:
        again = f", the next try is in {memory.until - now:.1f} s" if memory.until > now else ""
        told.append(f"its last load failed: {memory.failure}{again}")
    if memory is not None and memory.gone:
        told.append(f"it was let go of last because: {memory.gone}")
    return told


def _stay(pool: str, lease: Lease, now: float) -> str:
    place = lease.place
    where = f"worker {place.name} of shared pool {pool!r}"
    if lease.stay is Stay.WAITING:
        return f"{lease.key} waits to be loaded by {where}, behind {place.position(lease)} others"
    if lease.stay is Stay.LOADING:
        return f"{lease.key} is being loaded by {where}"
    resident = place.residents.get(lease.key)
    if resident is None:
        return f"{lease.key} is leaving {where}"
    used = "in use" if resident.in_use else f"last used {max(now - resident.last_used, 0.0):.1f} s ago"
    pinned = ", pinned" if resident.pinned else ""
    return f"{lease.key} is in {where}: {size(resident.bytes)}, {used}{pinned}"
