"""vLLM as the gateway sees it: a client over HTTP, a pool of replicas, adapters kept loaded and proven."""

from gateway.engines.client import Engine, ModelListing, Timeouts
from gateway.engines.errors import (
    AdapterNotLoaded,
    AdapterUnservable,
    EngineBusy,
    EngineError,
    EngineRefused,
    EngineTimeout,
    EngineUnreachable,
    NoReplica,
)
from gateway.engines.http import Connections
from gateway.engines.pool import EnginePool, ReplicaState
from gateway.engines.probe import DesiredAdapter, ProbeResult
from gateway.engines.reconcile import LoadFailure, Reconciler
from gateway.engines.replica import Lease, Replica
from gateway.engines.stream import Stream

__all__ = [
    "AdapterNotLoaded",
    "AdapterUnservable",
    "Connections",
    "DesiredAdapter",
    "Engine",
    "EngineBusy",
    "EngineError",
    "EnginePool",
    "EngineRefused",
    "EngineTimeout",
    "EngineUnreachable",
    "Lease",
    "LoadFailure",
    "ModelListing",
    "NoReplica",
    "ProbeResult",
    "Reconciler",
    "Replica",
    "ReplicaState",
    "Stream",
    "Timeouts",
]
