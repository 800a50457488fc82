"""The gateway's fixtures: the application with all of its handlers, on fakes of engine, trainer and index."""

from tests.gateway.conftest import engine, gateway, migrated
from tests.gateway.tuning import settings, working

__all__ = ["engine", "gateway", "migrated", "settings", "working"]
