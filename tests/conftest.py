"""What holds for every test."""

import gc

__all__ = ["pytest_collection_finish", "pytest_make_parametrize_id"]

# Nothing that is imported for ten thousand tests is garbage. To look for some took a quarter of the time that it takes.
gc.disable()


def pytest_collection_finish() -> None:
    """Let the tests' garbage be collected, without a walk through all that was there before them."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: a packed file has the time in it, and each worker of a run would have other names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
