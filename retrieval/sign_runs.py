"""Runs of one sign, as lines are drawn with: `--------`, `========`, `________`.

Tokenizers of words have a token per sign, so that the rule of a table with wide columns took all the room of a chunk,
and again above each piece of the table. A few of the signs say as much to an embedder.
"""

import re
from collections.abc import Sequence

from retrieval.blocks import TokenOffsets

__all__ = ["measure_thinned", "thin_runs"]

_KEPT_SIGNS = 3
_RUN = re.compile(rf"([^\w\s]|_)\1{{{_KEPT_SIGNS},}}")


def thin_runs(text: str) -> str:
    """Leave the first signs of each run."""
    return _RUN.sub(lambda run: run[1] * _KEPT_SIGNS, text)


def measure_thinned(offsets: TokenOffsets) -> TokenOffsets:
    """Return what finds the tokens of a text but for those that `thin_runs` takes away."""

    def find(text: str) -> Sequence[int]:
        tokens = offsets(text)
        runs = [(run.start() + _KEPT_SIGNS, run.end()) for run in _RUN.finditer(text)]
        if not runs:
            return tokens
        starts: list[int] = []
        place = 0
        for offset in tokens:
            while place < len(runs) and runs[place][1] <= offset:
                place += 1
            if place == len(runs) or offset < runs[place][0]:
                starts.append(offset)
        return starts

    return find
