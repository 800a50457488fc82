"""What holds for every test."""

__all__ = ["pytest_make_parametrize_id"]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name bytes by their length: a packed file has the time in it, and each worker of a run would have other names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None
