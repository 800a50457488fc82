"""Errors of the retriever → what clients are told of them."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager

import structlog

from gateway.errors import BadRequest, Unavailable
from retrieval.client import (
    IndexChanged,
    IndexSilent,
    InvalidFilter,
    RetrieverBusy,
    RetrieverFailed,
    RetrieverSilent,
    RetrieverUnavailable,
)
from retrieval.filters import check_filter

__all__ = ["check_filters", "explain_index_change", "explain_retriever_errors", "explain_silence"]

_log = structlog.get_logger()

_INDEX_SECONDS = 30


def check_filters(filters: object, *, param: str) -> None:
    """Refuse what isn't an attribute filter, or is beyond a filter's bounds.

    Raises:
        BadRequest: With the part that is wrong.
    """
    try:
        check_filter(filters)
    except InvalidFilter as error:
        raise _explain_filter(error, param) from error


@contextmanager
def explain_retriever_errors(stores: Iterable[str]) -> Generator[None]:
    """Raise what a client may read for an error of the retriever in a call about these stores."""
    try:
        yield
    except InvalidFilter as error:
        raise _explain_filter(error, "filters") from error
    except IndexChanged as error:
        _log.warning("index_changed", stores=sorted(stores), reason=str(error))
        raise explain_index_change(str(error)) from error
    except RetrieverBusy as error:
        raise Unavailable(
            "Too many searches are under way. Try again in a moment.", retry_after=1, code="retriever_busy"
        ) from error
    except (IndexSilent, RetrieverSilent) as error:
        raise explain_silence(stores, str(error)) from error
    except (RetrieverUnavailable, RetrieverFailed) as error:
        _log.warning("stores_not_searched", stores=sorted(stores), reason=str(error))
        raise Unavailable(
            "The documents can't be searched now. Try again in a moment.", retry_after=2, code="retriever_unavailable"
        ) from error


def explain_silence(stores: Iterable[str], reason: str) -> Unavailable:
    """Log and return the error of a search that found nothing in its time."""
    _log.warning("stores_not_searched", stores=sorted(stores), reason=reason)
    return Unavailable(
        "The documents couldn't be searched in time. Try again in a moment.", retry_after=2, code="retriever_timeout"
    )


def explain_index_change(reason: str) -> Unavailable:
    """Return the error of a store whose documents aren't all in the index that the retriever has now."""
    return Unavailable(
        f"{reason} They can be searched again when all are indexed anew: 'braid docs reindex' does that, or putting "
        "them again; 'braid doctor' names the stores.",
        retry_after=_INDEX_SECONDS,
        code="index_changed",
    )


def _explain_filter(error: InvalidFilter, param: str) -> BadRequest:
    return BadRequest(str(error), param=param, code="invalid_filter")
