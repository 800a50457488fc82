"""Counts and durations that each answer adds to: for one thread, without the locks and checks of Prometheus's library.

An answer adds to nine of them, which cost more there than to decode its request.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

__all__ = ["Count", "CountFamily", "Duration", "DurationFamily"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_BOUNDS = (*map(str, _SECONDS), "+Inf")


class Count:
    """A number that only grows."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, amount: float = 1.0) -> None:
        self.value += amount


class Duration:
    """The distribution of a time in seconds."""

    __slots__ = ("buckets", "total")

    def __init__(self) -> None:
        self.buckets = [0] * len(_BOUNDS)
        self.total = 0.0

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(_SECONDS, seconds)] += 1
        self.total += seconds


class CountFamily(Collector):
    """The counts of one name, by the values of their labels; `name` is without its `_total`."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._head = name, documentation
        self._labels = labels
        self._members: dict[tuple[str, ...], Count] = {}

    def find(self, *labels: str) -> Count:
        """Return the count of some labels' values, a new one where there is none."""
        return self._members.get(labels) or self._members.setdefault(labels, Count())

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(*self._head, labels=self._labels)
        for labels, count in self._members.items():
            family.add_metric(labels, count.value)
        yield family


class DurationFamily(Collector):
    """The durations of one name, by the values of their labels."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._head = name, documentation
        self._labels = labels
        self._members: dict[tuple[str, ...], Duration] = {}

    def find(self, *labels: str) -> Duration:
        """Return the duration of some labels' values, a new one where there is none."""
        return self._members.get(labels) or self._members.setdefault(labels, Duration())

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(*self._head, labels=self._labels)
        for labels, duration in self._members.items():
            buckets = zip(_BOUNDS, map(float, accumulate(duration.buckets)), strict=True)
            family.add_metric(labels, list(buckets), duration.total)
        yield family
