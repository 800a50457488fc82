"""The one place that opens things, and closes them in reverse."""

from gateway.composition.gateway import open_gateway_admin, open_state
from gateway.composition.stored import BYTE_SELECTS
from gateway.composition.worker import open_handlers, open_worker

__all__ = ["BYTE_SELECTS", "open_gateway_admin", "open_handlers", "open_state", "open_worker"]
