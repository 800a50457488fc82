"""Proof that a loaded adapter is the trained one: its reference log-probabilities come out of the engine again."""

from collections.abc import Sequence
from statistics import fmean

import msgspec

from gateway.engines.client import Engine

__all__ = ["DesiredAdapter", "Probe", "ProbeResult", "measure"]

# Mean distance to the adapter's reference that passes, in nats per token, and as a share of what the adapter changes.
# Measured with the 135M model: vLLM in float32 is 0.00001 off a float32 reference, in bfloat16 0.05. An adapter that
# changes little (0.16) must still be told from the base, hence NEARER: at most half as far from the adapter's
# reference as from the base's.
TOLERANCE = 0.15
SHARE = 0.25
NEARER = 0.5


class Probe(msgspec.Struct, frozen=True):
    """One reference row: log-probabilities of `tokens[start:]`, each given all before it, by adapter and base."""

    tokens: list[int]
    start: int
    logprobs: list[float]
    base_logprobs: list[float]


class DesiredAdapter(msgspec.Struct, frozen=True):
    """An adapter that engines shall hold: its name there, its folder as engines see it, and its reference rows.

    `id` tells two adapters of one name and folder apart, one of which came after the other was refused or deleted: what
    engines said to the first doesn't count for the second.
    """

    served_name: str
    path: str
    probe: list[Probe]
    id: str = ""

    @property
    def provable(self) -> bool:
        """True when there is a row to prove it by."""
        return any(row.logprobs for row in self.probe)


class ProbeResult(msgspec.Struct, frozen=True):
    """Mean absolute distances, nats per token: engine to adapter, engine to base, and adapter to base (references)."""

    to_adapter: float
    to_base: float
    effect: float

    @property
    def passed(self) -> bool:
        near = self.to_adapter <= max(TOLERANCE, SHARE * self.effect)
        return near and self.to_adapter <= NEARER * self.to_base

    @property
    def verdict(self) -> str:
        """The meaning of the distances, in words for an operator."""
        figures = (
            f"the engine's log-probabilities are {self.to_adapter:.3f} from the adapter's reference and "
            f"{self.to_base:.3f} from the base's (the two are {self.effect:.3f} apart)"
        )
        if self.passed:
            return f"The probe passed: {figures}."
        if self.to_base <= NEARER * self.to_adapter:
            return f"The engine answers like the base model under this name: {figures}. Train or import it again."
        return f"The engine doesn't reproduce this adapter: {figures}. Check that its files and base model are intact."


async def measure(engine: Engine, desired: DesiredAdapter) -> ProbeResult:
    """Ask the engine for the reference rows' log-probabilities under the adapter's name."""
    measured: list[float] = []
    for probe in desired.probe:
        scores = await engine.logprobs(desired.served_name, probe.tokens, probe.start)
        measured += scores[: len(probe.logprobs)]
    adapter = [score for probe in desired.probe for score in probe.logprobs]
    base = [score for probe in desired.probe for score in probe.base_logprobs]
    return ProbeResult(_distance(measured, adapter), _distance(measured, base), _distance(adapter, base))


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return fmean(abs(a - b) for a, b in zip(one, other, strict=True))
