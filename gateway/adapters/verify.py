"""The check that every adapter passes before it is ready: the engines have loaded it and reproduce its reference."""

from gateway.adapters.identity import AdapterRefused
from gateway.adapters.tables import AdapterRow
from gateway.engines import AdapterNotLoaded, AdapterUnservable, Reconciler
from gateway.jobs import JobDelayed

__all__ = ["AdapterVerifier"]


class AdapterVerifier:
    """Waits until this process's reconciler, which does the work, has an adapter on every replica that can be reached.

    Args:
        reconciler: Loads and proves what the database wants, which includes an adapter that is probing.
        patience_seconds: Of one wait, after which the job gives up its place; the reconciler goes on meanwhile.
    """

    def __init__(self, reconciler: Reconciler, *, patience_seconds: float = 30.0) -> None:
        self._reconciler = reconciler
        self._patience_seconds = patience_seconds

    async def __call__(self, row: AdapterRow) -> None:
        """Return when each reachable replica, and at least one, has loaded the adapter and reproduced its reference.

        Raises:
            AdapterRefused: A replica can't load it, or doesn't reproduce it.
            JobDelayed: No replica can be reached now, or they need longer.
        """
        try:
            await self._reconciler.wait_until_resident(row.served_name, self._patience_seconds)
        except AdapterUnservable as error:
            raise AdapterRefused(error.reason) from error
        except AdapterNotLoaded as error:
            raise JobDelayed(f"The engines don't have the adapter yet: {error.detail}") from error
