"""The walk over a site's pages: which is next, and where the next walk goes on when this one has to stop."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import msgspec

from gateway.sources.web_list import MOST_URLS
from gateway.sources.web_visit import KnownPage, SiteVisit

__all__ = ["SiteStep", "SiteWalk", "read_position"]

_MOST_LISTED = 20
"""Steps of a position in a list: the first of them that is still listed tells the place."""
_MOST_CHARACTERS = 200_000
"""Of a position's addresses: a few thousand. Links behind them are found again."""


class SiteStep(msgspec.Struct, frozen=True, array_like=True):
    """A page to visit: its URL, the number of links from the start to it, and the list that names it."""

    url: str
    depth: int = 0
    list: str = ""


def read_position(text: str | None) -> list[SiteStep]:
    """Return the first steps that a walk didn't take; none where it came to its end, or another version wrote them."""
    try:
        return msgspec.json.decode(text or "[]", type=list[SiteStep])
    except msgspec.DecodeError:
        return []


@dataclass(slots=True)
class SiteWalk:
    """The steps that are still to be taken on a site.

    A site that answers only so many requests in an hour would be asked for the same first pages each time, and for
    nothing behind them. So a walk that stops says where (`write_position`), and the next one begins there: in a list of
    pages, which it goes through to its end and then from its beginning, or at the links that weren't followed yet.

    Attributes:
        depth: The most links to follow.
        is_listed: Whether the site lists its pages, so that no link of theirs is followed.
        is_resumed: Whether the walk before stopped.
        steps: Those to take.
    """

    depth: int
    is_listed: bool
    is_resumed: bool
    steps: deque[SiteStep] = field(default_factory=deque[SiteStep])
    _known_urls: set[str] = field(default_factory=set[str])
    _refused: list[SiteStep] = field(default_factory=list[SiteStep])
    _has_answers: bool = False

    @classmethod
    def begin(
        cls, visit: SiteVisit, start: str, depth: int, pages: Mapping[str, str], last_steps: Sequence[SiteStep]
    ) -> "SiteWalk":
        """Begin a walk.

        Args:
            visit: What is known of the pages.
            start: Where links begin.
            depth: The most links to follow.
            pages: Those that the site lists, in its order, each with its list.
            last_steps: The first steps that the walk before didn't take.
        """
        walk = cls(depth, bool(pages), bool(last_steps) and last_steps != [SiteStep(start)])
        if not pages:
            walk.add(last_steps or [SiteStep(start)])
            return walk
        steps = [SiteStep(url, 0, name) for url, name in pages.items()]
        if last_steps:
            for page in visit.known_pages:
                if pages.keys().isdisjoint((page.version.request, page.version.url)):
                    steps.append(_to_step(page))
        places = {step.url: number for number, step in enumerate(steps)}
        place = next((places[step.url] for step in last_steps if step.url in places), 0)
        visit.whole &= walk.add(steps[place:] + steps[:place])
        return walk

    def is_leaf(self, step: SiteStep) -> bool:
        """Tell whether the links of a page aren't followed."""
        return self.is_listed or step.depth >= self.depth

    def knows(self, url: str) -> bool:
        """Tell whether a page is visited already, or will be."""
        return url in self._known_urls

    def add(self, steps: Iterable[SiteStep]) -> bool:
        """Add steps to pages that aren't known yet, and tell whether all of them found room."""
        for step in steps:
            if step.url in self._known_urls:
                continue
            if len(self._known_urls) >= MOST_URLS:
                return False
            self._known_urls.add(step.url)
            self.steps.append(step)
        return True

    def add_unseen(self, visit: SiteVisit) -> None:
        """Add the pages of which nothing was seen, and that may be there all the same."""
        self.steps.extend(_to_step(page, self.depth) for page in visit.list_unseen())

    def note_answer(self, step: SiteStep, *, refused: bool) -> None:
        """Note a step that was taken, and whether the site refused it, as it does before it has to be left alone."""
        self._refused = [*self._refused, step] if refused else []
        self._has_answers |= not refused

    def write_position(self, most: int) -> str | None:
        """Write the first steps that weren't taken, for `read_position`; None where all were.

        Those that the site refused come first, since it may take them when it is asked again. Where it refused the very
        first one, that was the one before which the walk before had to stop: it comes last, so that a page that is
        refused for ever doesn't hide all others.

        Args:
            most: So many, if they are links.
        """
        rest = chain(self._refused, self.steps) if self._has_answers else chain(self.steps, self._refused)
        steps: list[SiteStep] = []
        room = _MOST_CHARACTERS
        for step in islice(rest, _MOST_LISTED if self.is_listed else most):
            room -= len(step.url) + len(step.list)
            if room < 0:
                break
            steps.append(step)
        return msgspec.json.encode(steps).decode() if steps else None


def _to_step(page: KnownPage, depth: int = 0) -> SiteStep:
    return SiteStep(page.version.url, depth, page.version.list)
