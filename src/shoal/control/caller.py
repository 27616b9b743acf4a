"""Who asks, for as long as a request lasts.

Set in one place, the guard of the control API, and read in two: where a change is written down (`registry.part`), and
where code is let in (`permissions`). Outside of a request, such as for a folder of services that is followed, there is
nobody.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from shoal.core.access import EVERYBODY, Principal


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and by which request.

    Attributes:
        principal: who.
        request: the request's id.
    """

    principal: Principal
    request: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it is let in as somebody of this machine, and not by a key of its own."""
        return self.principal.id == EVERYBODY.id


CALLER: ContextVar[Caller | None] = ContextVar("shoal_caller", default=None)
