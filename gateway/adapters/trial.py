"""The last proof before an adapter may answer: on the engines it gives its reference log-probabilities again."""

import asyncio
from collections.abc import Sequence

from gateway.adapters.refusal import AdapterRefused
from gateway.engines import DesiredAdapter, Engine, EngineError, EngineRefused, EngineTimeout, EngineUnreachable
from gateway.engines.probe import measure
from gateway.jobs import JobDelayed

__all__ = ["Trial"]

_BUSY = frozenset({408, 425, 429, 502, 503, 504})
_ATTEMPTS = 3


class Trial:
    """Loads adapters and measures them on every engine replica that is there.

    It leaves unloading to the gateways' reconcilers, which do it as soon as the database doesn't want the adapter.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines

    async def prove(self, adapter: DesiredAdapter) -> None:
        """Return when each reachable replica, and at least one, has passed the adapter.

        Raises:
            AdapterRefused: A replica can't load it, or doesn't reproduce it.
            JobDelayed: No replica can be reached now.
        """
        if not any(probe.logprobs for probe in adapter.probe):
            raise AdapterRefused("no_probe", "The adapter has no reference rows to prove it by. Make it again.")
        results = await asyncio.gather(*(_prove_on(one, adapter) for one in self._engines), return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        for error in failed:
            if not _away(error):
                raise error
        if len(failed) == len(results):
            reasons = "; ".join(error.detail if isinstance(error, EngineError) else str(error) for error in failed)
            raise JobDelayed(f"No engine can be reached to try the adapter on: {reasons or 'none is configured'}")


async def _prove_on(engine: Engine, adapter: DesiredAdapter) -> None:
    for attempt in range(1, _ATTEMPTS + 1):
        await _load(engine, adapter)
        try:
            result = await measure(engine, adapter)
        except EngineRefused as error:
            # A gateway's reconciler unloads what it doesn't know yet to be wanted, or finds to be wrong. It does so
            # once, so trying again brings out what is the matter.
            if error.engine_status == 404 and attempt < _ATTEMPTS:
                continue
            raise _refused(error) from error
        if not result.passed:
            raise AdapterRefused("probe_failed", result.verdict)
        return


async def _load(engine: Engine, adapter: DesiredAdapter) -> None:
    try:
        await engine.load_adapter(adapter.served_name, adapter.path)
    except EngineRefused as error:
        if error.engine_status != 404:
            raise _refused(error) from error
        raise AdapterRefused(
            "adapter_not_found",
            "An engine doesn't find the adapter's folder. The operator has to set BRAID_ENGINE_ADAPTER_DIR to where "
            "the engines see the folder of adapters; then run this job again.",
        ) from error


def _refused(error: EngineRefused) -> Exception:
    if error.engine_status in _BUSY:
        return error
    return AdapterRefused("engine_refused", f"An engine refused the adapter: {error.reason}")


def _away(error: BaseException) -> bool:
    return isinstance(error, EngineUnreachable | EngineTimeout | EngineRefused)
