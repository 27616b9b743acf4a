"""A histogram of latencies of fixed size: percentiles within 1 %, no samples kept.

Values are whole microseconds in buckets whose width grows with the value (128 buckets for each doubling), so a second
and a microsecond are told with the same relative error. Histograms of several workers can be merged.
"""

from __future__ import annotations

from collections.abc import Iterator

_BITS = 8
_HALF = 1 << (_BITS - 1)


def _index(micros: int) -> int:
    shift = max(0, micros.bit_length() - _BITS)
    return shift * _HALF + (micros >> shift)


def _highest(index: int) -> int:
    """The largest value of a bucket, in microseconds."""
    if index < 2 * _HALF:
        return index
    shift = index // _HALF - 1
    return ((index - shift * _HALF + 1) << shift) - 1


class Histogram:
    """Counts of durations in seconds."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.max = 0.0
        self.min = 0.0

    def record(self, seconds: float) -> None:
        """Count one duration; a negative one counts as 0."""
        seconds = max(0.0, seconds)
        index = _index(round(seconds * 1e6))
        self._counts[index] = self._counts.get(index, 0) + 1
        self.min = seconds if self.count == 0 else min(self.min, seconds)
        self.max = max(self.max, seconds)
        self.count += 1
        self.total += seconds

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        if other.count == 0:
            return
        for index, count in other._counts.items():
            self._counts[index] = self._counts.get(index, 0) + count
        self.min = other.min if self.count == 0 else min(self.min, other.min)
        self.max = max(self.max, other.max)
        self.count += other.count
        self.total += other.total

    @property
    def mean(self) -> float:
        """Seconds; 0 if nothing was recorded."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, share: float) -> float:
        """The duration (seconds) that `share` percent of the records do not exceed; 0 if nothing was recorded."""
        wanted = max(1, -(-self.count * share // 100))
        seen = 0
        for index in sorted(self._counts):
            seen += self._counts[index]
            if seen >= wanted:
                return min(self.max, _highest(index) / 1e6)
        return self.max

    def bars(self, most: int = 16) -> list[tuple[float, float, int]]:
        """At most `most` bars `(from, to, count)` in seconds that cover all records, for drawing.

        The edges are spaced geometrically, as latencies are.
        """
        if self.count == 0:
            return []
        low = max(self.min, 1e-6)
        high = max(self.max, low * 1.01)
        step = (high / low) ** (1 / most)
        edges = [low * step**number for number in range(most)] + [high * (1 + 1e-9)]
        counts = [0] * most
        for seconds, count in self._records():
            bar = next((number for number in range(most - 1) if seconds <= edges[number + 1]), most - 1)
            counts[bar] += count
        return [(edges[number], edges[number + 1], counts[number]) for number in range(most)]

    def _records(self) -> Iterator[tuple[float, int]]:
        for index, count in sorted(self._counts.items()):
            yield _highest(index) / 1e6, count
