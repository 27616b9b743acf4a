"""Keys and whoever holds them, for tests of what may be done."""

from __future__ import annotations

from shoal.core import keys
from shoal.core.access import ANY, AccessTable, Grant, KeyRecord


class Holders:
    """Keys by the names of their holders.

    Args:
        grants: what each may do.
        expires: Unix seconds, for each.
    """

    def __init__(self, expires: float = 0.0, **grants: Grant) -> None:
        self.keys = {name: keys.generate() for name in grants}
        self.table = AccessTable(
            keys=tuple(
                KeyRecord(
                    id=self.keys[name].id,
                    name=name,
                    sha256=keys.digest(self.keys[name].text),
                    grants=(grant,),
                    tenant=f"tenant-{name}",
                    expires=expires,
                )
                for name, grant in grants.items()
            ),
            revision=1,
        )

    def headers(self, name: str) -> dict[bytes, bytes]:
        """What one of them sends; nothing for nobody ("")."""
        return {b"authorization": b"Bearer " + self.keys[name].text.encode()} if name else {}


def everyone() -> Holders:
    """A holder of each role, in the namespace `default`; and two who have nothing there."""
    roles = ("caller", "viewer", "engineer", "qa", "owner")
    return Holders(
        **{role: Grant((role,), "default") for role in roles},
        admin=Grant(("admin",), ANY),
        everywhere=Grant(("viewer",), ANY),
        foreign=Grant(("owner",), "elsewhere"),
        only_iris=Grant(("viewer", "caller"), "default", "iris"),
        nothing=Grant((), "default"),
    )
