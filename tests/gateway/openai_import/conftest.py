from tests.gateway.cli.conftest import _own_logs  # pyright: ignore[reportPrivateUsage]
from tests.gateway.tuning import settings
from tests.gateway.vector_stores.conftest import index

__all__ = ["_own_logs", "index", "settings"]
