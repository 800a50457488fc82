"""What ends a job that asks engines and the retriever: the fault of a part that comes back, or one that stays."""

from collections.abc import Generator
from contextlib import contextmanager

from gateway.engines import AdapterRejected, EngineError, EngineRefused
from gateway.errors import BadRequest, NotFound, Unavailable
from gateway.jobs import JobDelayed, JobFailed

__all__ = ["explain_interruptions"]

_PAUSE_SECONDS = 5.0


@contextmanager
def explain_interruptions() -> Generator[None]:
    """Let errors of parts be those of a job.

    Raises:
        JobDelayed: A part is away, or failed at something; it is tried again.
        JobFailed: What was asked can't be had.
    """
    try:
        yield
    except AdapterRejected as error:
        raise JobFailed("adapter_rejected", f"The model server can't serve an adapter. {error.reason}") from error
    except EngineRefused as error:
        if error.engine_status < 500:
            raise JobFailed("engine_refused", error.message) from error
        raise JobDelayed(error.message, seconds=_PAUSE_SECONDS) from error
    except (EngineError, Unavailable) as error:
        raise JobDelayed(error.message, seconds=_PAUSE_SECONDS) from error
    except (NotFound, BadRequest) as error:
        raise JobFailed(error.code or "not_found", error.message) from error
