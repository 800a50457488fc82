"""Gates: a release is held against the base model and the release that serves, before it gets traffic."""

from gateway.gates.tables import GateRow

__all__ = ["GateRow"]
