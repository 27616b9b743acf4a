"""What only one worker can have, such as a part of an accelerator: lent to it until it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loan:
    """Something lent to one worker.

    Attributes:
        variables: environment variables that tell the worker what it has.
        give_back: called once, when the worker is no more.
    """

    variables: Mapping[str, str]
    give_back: Callable[[], None]


Lend = Callable[[], Loan]
"""Lends to the next worker; raises a `ShoalError` that says what is missing when there is nothing left."""
