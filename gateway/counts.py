"""Numbers of things, as messages have them."""

__all__ = ["format_count"]


def format_count(number: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun: `1 row`, `1,200 rows`.

    Args:
        number: How many.
        one: What stands behind a 1, with its verb where it has one: `row has`.
        several: What stands behind other numbers; what is left out is `one` with an s.
    """
    return f"1 {one}" if number == 1 else f"{number:,} {several or f'{one}s'}"
