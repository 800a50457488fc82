"""The gateway's fixtures: the application with all of its handlers, on fakes of engine, trainer and index."""

from tests.gateway.conftest import engine, gateway, migrated
from tests.gateway.tuning import background_worker, settings

__all__ = ["background_worker", "engine", "gateway", "migrated", "settings"]
