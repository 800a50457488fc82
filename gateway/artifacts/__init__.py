"""Content-addressed bytes: files and adapters."""

from gateway.artifacts.folder import Artifacts, Stored

__all__ = ["Artifacts", "Stored"]
