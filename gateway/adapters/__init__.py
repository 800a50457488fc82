"""LoRA adapters: judged, imported, named, desired on engines, proven there."""

from gateway.adapters.tables import AdapterRow

__all__ = ["AdapterRow"]
