"""The numbers of OpenDocument's lists, which may go on where an earlier one ended."""

from retrieval.parsers.archive import Element, get_attribute

__all__ = ["ListCounts"]


class ListCounts:
    """The last number at each level, of each list by its id and of the newest of each style."""

    def __init__(self) -> None:
        self._by_id: dict[str, dict[int, int]] = {}
        self._by_style: dict[str, dict[int, int]] = {}

    def begin(self, element: Element, style: str) -> dict[int, int]:
        """Return the counts of an outermost list: those of the list that it continues, or none yet."""
        counts: dict[int, int] = {}
        if continued := get_attribute(element, "continue-list"):
            counts = self._by_id.get(continued, counts)
        elif get_attribute(element, "continue-numbering") == "true":
            counts = self._by_style.get(style, counts)
        self._by_style[style] = counts
        if id := get_attribute(element, "id"):
            self._by_id[id] = counts
        return counts

    @staticmethod
    def count(counts: dict[int, int], level: int, number: int) -> None:
        """Set the number at a level, below which numbers begin anew."""
        counts[level] = number
        for deeper in [at for at in counts if at > level]:
            del counts[deeper]
