"""Proof that a loaded adapter is the trained one: its reference log-probabilities come out of the engine again."""

import math
from collections.abc import Sequence
from statistics import fmean

import msgspec

from gateway.engines.client import Engine, ModelListing
from gateway.engines.errors import EngineRefused, EngineUnreachable
from training.manifest import Probe

__all__ = ["DesiredAdapter", "ProbeResult", "measure"]

# Mean distance to the adapter's reference that passes, in nats per token, and as a share of what the adapter changes.
# Measured with the 135M model: vLLM in float32 is 0.00001 off a float32 reference, in bfloat16 0.05. Beyond what the
# engine's own arithmetic explains an adapter must be at most half as far from its reference as from the base's.
TOLERANCE = 0.15
SHARE = 0.25
NEARER = 0.5
# The engine's noise is how far its base model is from the base's reference on the same tokens. Three times that passes
# too, for engines that compute in fewer bits. But an adapter whose effect is lost in it can't be told from the base,
# and an engine that is very far off serves another base.
NOISES = 3.0
LEAST_EFFECT = 0.4
MOST_NOISE = 0.5

_NO_NUMBER = "out of range float"
"""The words with which vLLM refuses to send NaN."""


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
    """Mean absolute distances in nats per token.

    From the engine's figures to the adapter's and to the base's reference, from one reference to the other, and from
    the engine's figures for its base model to the base's reference: its noise.
    """

    to_adapter: float
    to_base: float
    effect: float
    noise: float = 0.0

    @property
    def passed(self) -> bool:
        if not math.isfinite(self.to_adapter) or self._is_another_base or self._is_lost:
            return False
        near = self.to_adapter <= max(TOLERANCE, SHARE * self.effect, NOISES * self.noise)
        return near and self._beyond_noise(self.to_adapter) <= NEARER * self._beyond_noise(self.to_base)

    @property
    def verdict(self) -> str:
        """The meaning of the distances, in words for an operator."""
        figures = (
            f"the engine's log-probabilities are {self.to_adapter:.3f} from the adapter's reference and "
            f"{self.to_base:.3f} from the base's (the two are {self.effect:.3f} apart; the engine's own noise is "
            f"{self.noise:.3f})"
        )
        if self.passed:
            return f"The probe passed: {figures}."
        if not math.isfinite(self.to_adapter):
            return (
                "The engine computes no numbers (NaN) with this adapter, on a short or a long prompt. Its weights may "
                "be too large for the engine's type, or a kernel of this vLLM may be at fault. Train it with a lower "
                "rate, or start the engine with another --dtype or in another version."
            )
        if self._is_another_base:
            return f"The engine serves another base model than the adapter's: {figures}. Check BRAID_BASE_MODEL."
        if self._is_lost:
            return (
                f"The adapter changes too little to be told from the base model: {figures}. Train it longer or on "
                "other rows, or serve it in more bits."
            )
        if self.to_base <= NEARER * self.to_adapter:
            return f"The engine answers like the base model under this name: {figures}. Train or import it again."
        return f"The engine doesn't reproduce this adapter: {figures}. Check that its files and base model are intact."

    @property
    def _is_another_base(self) -> bool:
        return self.noise > MOST_NOISE

    @property
    def _is_lost(self) -> bool:
        return self.effect < LEAST_EFFECT * self.noise

    def _beyond_noise(self, distance: float) -> float:
        # Independent errors add up as squares.
        return math.sqrt(max(0.0, distance**2 - self.noise**2))


async def measure(engine: Engine, desired: DesiredAdapter, listing: ModelListing) -> ProbeResult:
    """Ask the engine for the reference rows' log-probabilities, under the adapter's name and under the base's.

    Rows that are longer than the engine's context are left out, as long as there are others.

    Raises:
        EngineUnreachable: The engine computes no numbers for its own base model: it has to be restarted.
    """
    rows = [row for row in desired.probe if len(row.tokens) < listing.max_model_len] or desired.probe
    with_adapter: list[float] = []
    plain: list[float] = []
    for row in rows:
        with_adapter += await _score(engine, desired.served_name, row)
        plain += await _score(engine, listing.base_model, row)
    adapter = [score for row in rows for score in row.logprobs]
    base = [score for row in rows for score in row.base_logprobs]
    noise = _distance(plain, base)
    if not math.isfinite(noise):
        raise EngineUnreachable("the engine computes no numbers (NaN) for its own base model: restart it", "answer")
    return ProbeResult(_distance(with_adapter, adapter), _distance(with_adapter, base), _distance(adapter, base), noise)


async def _score(engine: Engine, name: str, row: Probe) -> list[float]:
    try:
        return (await engine.measure_logprobs(name, row.tokens, row.start))[: len(row.logprobs)]
    except EngineRefused as refused:
        if _NO_NUMBER not in refused.reason.lower():
            raise
        return [math.nan] * len(row.logprobs)


def _distance(one: Sequence[float], other: Sequence[float]) -> float:
    return fmean(abs(a - b) for a, b in zip(one, other, strict=True))
