"""Who may do what: the one question that control asks before it does something that could hurt others.

There are no users yet: `LocalPermissions` answers for everybody with the settings of the process. Roles answer the same
question later, from the actor and the namespace.
"""

from __future__ import annotations

from typing import Literal, Protocol

Action = Literal["deploy:code"]
"""``deploy:code``: register versions whose format can run code when it is loaded."""

HOW_TO_ALLOW = (
    "if you trust who pushes, start control with `shoal control --trust`, or push with --trust where no control runs; "
    "formats without code are skops, ONNX, UBJSON (XGBoost), text (LightGBM), TorchScript and .keras"
)


class Permissions(Protocol):
    """Answers whether an actor may do something in a namespace."""

    def allows(self, actor: str, action: Action, namespace: str) -> bool: ...


class LocalPermissions:
    """One answer for all who reach this control."""

    def __init__(self, *, allow_code: bool) -> None:
        self._allow_code = allow_code

    def allows(self, actor: str, action: Action, namespace: str) -> bool:
        return self._allow_code
