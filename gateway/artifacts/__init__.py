"""Content-addressed bytes: files and adapters."""

from gateway.artifacts.folder import Artifacts, StoredBytes

__all__ = ["Artifacts", "StoredBytes"]
