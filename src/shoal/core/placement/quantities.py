"""Sizes as sentences say them."""

from __future__ import annotations

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(count: float) -> str:
    """Bytes in the unit that reads best, such as ``1.5 GiB``."""
    value, at = float(count), 0
    while abs(value) >= 1024 and at < len(_UNITS) - 1:
        value, at = value / 1024, at + 1
    return f"{value:.0f} {_UNITS[at]}" if at == 0 or value == int(value) else f"{value:.1f} {_UNITS[at]}"
