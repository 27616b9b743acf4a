"""Sizes, durations and processors as people write them.

A size is a number of bytes, alone or with `k`, `M`, `G`, `T` (thousands) or `Ki`, `Mi`, `Gi`, `Ti` (1,024s), and may
end in `B`: ``512Mi``, ``2GB``. A duration is a number, alone in the unit of the field's name, or with `us`, `ms`, `s`,
`m`, `h`: ``20ms``, ``30s``, ``1.5h``. Processors are a number, or thousandths with `m`: ``2``, ``0.5``, ``500m``.
"""

from __future__ import annotations

import math
import re

_NUMBER = re.compile(r"\s*([0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})\s*([A-Za-z]*)\s*\Z")
_SIZES = (
    {"": 1}
    | {letter: 1000**n for n, letter in enumerate("kMGT", 1)}
    | {f"{letter}i": 1024**n for n, letter in enumerate("KMGT", 1)}
)
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def size(value: object) -> int:
    """Bytes.

    Raises:
        ValueError: it is no size.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _NUMBER.match(value) if isinstance(value, str) else None
    factor = _SIZES.get(match[2].removesuffix("B")) if match else None
    if match is None or factor is None:
        raise ValueError("must be a size, such as 512Mi, 2G or a number of bytes")
    return int(float(match[1]) * factor)


def processors(value: object) -> float:
    """A number of processors, whole or in part.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    match = _NUMBER.match(value) if isinstance(value, str) else None
    if match is None or match[2] not in ("", "m"):
        raise ValueError("must be a number of processors, such as 2, 0.5 or 500m")
    return float(match[1]) / (1000.0 if match[2] else 1.0)


def seconds(value: object) -> float:
    """A duration in seconds; a bare number is seconds."""
    return _duration(value, 1.0)


def milliseconds(value: object) -> float:
    """A duration in milliseconds; a bare number is milliseconds."""
    return _duration(value, 1e-3) * 1000.0


def _duration(value: object, bare: float) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return value * bare
    match = _NUMBER.match(value) if isinstance(value, str) else None
    factor = (_SECONDS.get(match[2]) if match[2] else bare) if match else None
    if match is None or factor is None:
        raise ValueError("must be a duration, such as 20ms, 30s or 5m")
    return float(match[1]) * factor
