"""The gateway's fixtures: the application with all of its handlers, on fakes of engine, trainer and index."""

from tests.gateway.conftest import compiled_statements, database_url, engine, gateway, migrated
from tests.gateway.tuning import background_worker, settings

__all__ = ["background_worker", "compiled_statements", "database_url", "engine", "gateway", "migrated", "settings"]
