from tests.gateway.tuning import settings

__all__ = ["settings"]
