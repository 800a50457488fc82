"""vLLM as the gateway sees it: a client over HTTP, a pool of replicas, adapters kept loaded and proven."""

from gateway.engines.client import Engine, Listing, Timeouts, VllmEngine, open_session
from gateway.engines.errors import (
    AdapterNotLoaded,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    NoReplica,
)
from gateway.engines.stream import Stream

__all__ = [
    "AdapterNotLoaded",
    "Engine",
    "EngineError",
    "EngineRefused",
    "EngineTimeout",
    "EngineUnreachable",
    "Listing",
    "NoReplica",
    "Stream",
    "Timeouts",
    "VllmEngine",
    "open_session",
]
