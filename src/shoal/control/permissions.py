"""Who may let code in, and the network: what control asks before it registers what could hurt others.

Whoever has a key of their own needs the permission on the model. Of those who are let in as somebody of this machine,
the settings of the process say it for all.
"""

from __future__ import annotations

from typing import Literal, Protocol

from shoal.control.caller import CALLER
from shoal.core.access import Permission

Action = Literal["deploy:code", "deploy:network"]
"""``deploy:code``: register versions whose format can run code when it is loaded; ``deploy:network``: such that ask for
the network."""

HOW_TO_ALLOW = (
    "if you trust who pushes, start control with `shoal control --trust`, or push with --trust where no control runs; "
    "with API keys, one with the role owner may; "
    "formats without code are skops, ONNX, UBJSON (XGBoost), text (LightGBM), TorchScript and .keras"
)


class Permissions(Protocol):
    """Answers whether an actor may do something to a model."""

    def allows(self, actor: str, action: Action, namespace: str, model: str) -> bool: ...


class LocalPermissions:
    """One answer for all who reach this control: code if the settings say so, the network in any case."""

    def __init__(self, *, allow_code: bool) -> None:
        self._allow_code = allow_code

    def allows(self, actor: str, action: Action, namespace: str, model: str) -> bool:
        return self._allow_code or action == "deploy:network"


class CallerPermissions:
    """The answer of the key that asks.

    Args:
        local: answers where nobody has shown a key of their own.
    """

    def __init__(self, local: Permissions) -> None:
        self._local = local

    def allows(self, actor: str, action: Action, namespace: str, model: str) -> bool:
        caller = CALLER.get()
        if caller is None or caller.is_local:
            return self._local.allows(actor, action, namespace, model)
        return caller.principal.allows(Permission(action), namespace, model)
