"""A forecast of the demo's time on this machine, told before it starts and again with each step."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from gateway.demo.size import DemoSize
from gateway.demo.tenants import DemoTenant

__all__ = ["Forecast", "measure_gigaflops"]

_MEASURE_SECONDS = 0.6
_EDGE = 768  # of the matrices that are multiplied

# Seconds on two calm cores that multiply matrices at this speed: so that the steps of runs with AVX-512 (208 · 10⁹ per
# second, 11.5 minutes) and held to AVX2 (136, 16 to 17) are both about right.
_REFERENCE_GIGAFLOPS = 100.0
_START = 40.0
_DOCUMENTS = 45.0
_ADAPTER = 30.0
_TRAINED_ROW = 2.8
_VALIDATION_ROW = 1.2
_ANSWER = 1.0
_EDIT = 10.0
_SWAP = 55.0


class Forecast:
    """The seconds of each step: those of a reference machine, scaled by this one's speed.

    Before the first step the speed is that of a short measurement; from then on the steps themselves tell it.

    Args:
        size: Of the demo.
        cast: Its tenants.
        gigaflops: The speed at which this machine multiplies matrices.
    """

    def __init__(self, size: DemoSize, cast: Sequence[DemoTenant], gigaflops: float) -> None:
        rows = size.epochs * (size.training_rows * _TRAINED_ROW + size.validation_rows * _VALIDATION_ROW)
        answers = (5 * size.questions + 2 * size.unanswered) * len(cast)
        ratio = _REFERENCE_GIGAFLOPS / gigaflops
        self._slowness = max(ratio, (1 + ratio) / 2)  # half of the work is no faster where matrices are
        self._reference = {
            "start": _START,
            "documents": _DOCUMENTS,
            **{f"adapter_{tenant.name}": _ADAPTER + rows for tenant in cast},
            "questions": _ANSWER * answers,
            "edit": _EDIT,
            "swap": _SWAP,
        }

    def describe(self) -> str:
        """Return what to expect before anything is started, as a line for people."""
        names = list(self._reference)
        documents, adapter, end = (self._until(name) / 60 for name in (names[1], names[2], names[-1]))
        return (
            f"On this machine this should take about {max(end, 1):.0f} minutes: a first answer from documents after "
            f"about {max(documents, 1):.0f}, and one in a tenant's style after about {max(adapter, 1):.0f}."
        )

    def estimate_rest(self, finished: Mapping[str, float]) -> float:
        """Return the seconds that the other steps will take, when these have taken so many."""
        past_seconds = sum(self._reference.get(name, 0.0) for name in finished)
        slowness = sum(finished.values()) / past_seconds if past_seconds else self._slowness
        return slowness * sum(seconds for name, seconds in self._reference.items() if name not in finished)

    def _until(self, step: str) -> float:
        names = list(self._reference)
        return self._slowness * sum(self._reference[name] for name in names[: names.index(step) + 1])


def measure_gigaflops() -> float:
    """Multiply matrices in float32 for about half a second, and return the 10⁹ operations per second."""
    matrix = np.ones((_EDGE, _EDGE), dtype=np.float32)
    start = time.perf_counter()
    best = float("inf")
    while time.perf_counter() - start < _MEASURE_SECONDS:
        before = time.perf_counter()
        np.matmul(matrix, matrix)
        best = min(best, time.perf_counter() - before)
    return 2 * _EDGE**3 / best / 1e9
