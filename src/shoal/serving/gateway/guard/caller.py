"""Somebody who has proved who it is, and where it may do what."""

from __future__ import annotations

from collections.abc import Iterable

from shoal.core.access import ANY, Grant, Permission, Principal, expand
from shoal.core.service import parse_address

ASKED = 4096
"""Models that are remembered per caller as those that it may ask."""


class Places:
    """Where at least one of some permissions is granted: a question per model costs two look-ups.

    Raises:
        ValueError: a grant names something that is neither a permission nor a role.
    """

    __slots__ = ("_models", "_namespaces")

    def __init__(self, grants: Iterable[Grant], any_of: Iterable[Permission]) -> None:
        wanted = frozenset(any_of)
        granting = [grant for grant in grants if expand(grant.permissions) & wanted]
        self._namespaces = frozenset(grant.namespace for grant in granting if grant.model == ANY)
        self._models = frozenset((grant.namespace, grant.model) for grant in granting if grant.model != ANY)

    @property
    def everywhere(self) -> bool:
        """All models of all namespaces."""
        return ANY in self._namespaces

    def __bool__(self) -> bool:
        """Whether there is any such place."""
        return bool(self._namespaces or self._models)

    def __contains__(self, address: str) -> bool:
        """Whether the model or service at an address is one."""
        if self.everywhere:
            return True
        name, _, namespace = parse_address(address)
        if namespace in self._namespaces:
            return True
        return (namespace, name) in self._models or (ANY, name) in self._models


class Caller:
    """See the module.

    Args:
        principal: who it is.
        until: monotonic seconds after which it has to be proved again.

    Attributes:
        asks: names of models that it may ask, each with the tenant whom that counts to.
    """

    __slots__ = ("_places", "asks", "principal", "until")

    def __init__(self, principal: Principal, until: float) -> None:
        self.principal = principal
        self.until = until
        self.asks: dict[str, str] = {}
        self._places: dict[tuple[Permission, ...], Places] = {}

    def where(self, any_of: tuple[Permission, ...]) -> Places:
        """Where one of these permissions is granted."""
        places = self._places.get(any_of)
        if places is None:
            places = self._places[any_of] = Places(self.principal.grants, any_of)
        return places

    def may_ask(self, name: str) -> str:
        """Remember that it may ask this model; the tenant."""
        if len(self.asks) >= ASKED:
            self.asks.clear()
        tenant = self.asks[name] = self.principal.tenant
        return tenant
