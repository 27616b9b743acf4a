"""From a worker of a shared pool to the next one: what is resident is loaded there, too, before the first one goes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shoal.core.errors import ShoalError
from shoal.serving.pool.member import Member, WorkerDied
from shoal.serving.pool.shared.lease import Lease, Stay

Evict = Callable[[str, str, str], None]


async def move(leases: Iterable[Lease], member: Member, evict: Evict) -> None:
    """Load models into the next worker; those that go meanwhile leave it again.

    Args:
        leases: of what is resident, in the order in which it is loaded; looked at as it goes on.
        member: the next worker, which takes no jobs yet.
        evict: lets go of what the next worker could not load: key, label and reason.

    Raises:
        WorkerDied: the next worker has ended.
    """
    moved = []
    for lease in leases:
        await _load_again(lease, member, evict)
        moved.append(lease)
    for lease in moved:
        if lease.stay is Stay.GONE:
            await member.unload(lease.number)


async def _load_again(lease: Lease, member: Member, evict: Evict) -> None:
    try:
        await member.load(lease.number, lease.seat.spec, lease.seat.loaded)
    except WorkerDied as error:
        _evict(lease, f"the next worker died while it was loaded ({error})", evict)
        raise
    except ShoalError as error:
        _evict(lease, f"the next worker could not load it: {error.message}", evict)


def _evict(lease: Lease, reason: str, evict: Evict) -> None:
    if lease.stay is not Stay.GONE:
        evict(lease.key, "failed", reason)
