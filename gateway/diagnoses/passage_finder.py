"""The place of the passage that answers a failure: in the prompt, in the stores but not in the prompt, or nowhere."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import log

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from gateway.answering.resolve import Target
from gateway.answering.retrieve import Evidence
from gateway.artifacts import Artifacts
from gateway.assistants.release import RetrievalSpec
from gateway.conversations.languages import is_function_word
from gateway.db import Database
from gateway.diagnoses.answer_judge import ExpectedFacts
from gateway.diagnoses.case_search import CaseSearch
from gateway.diagnoses.cases import Case, Strand
from gateway.vector_stores.search import StoreStates, read_states, search
from gateway.vector_stores.version_texts import DocumentTexts
from retrieval.client import Retriever
from retrieval.filters import join_filters
from retrieval.messages import Passage

__all__ = ["PassageFinder", "PassagePlace", "cover_facts"]

UsedNumbers = Callable[[Case, Evidence], Awaitable[Sequence[int]]]

_WIDE = 50
"""Passages of a search without the release's limits; further down nobody would look for an answer."""
_DOCUMENTS = 8
"""Documents whose whole text is read, where no passage has all that is expected."""
_LIKELY_SHARE, _POSSIBLE_SHARE = 0.5, 0.25
"""Of the best passage's weight of the question's words: another product's passage has the same number by chance, and
one that only repeats the question has more of its words than an answer."""
_PASSAGE_CHARACTERS = 1200
_WORD = re.compile(r"[^\W_]{2,}")


class PassagePlace(msgspec.Struct, frozen=True):
    """The place of the answer's passage, for one failure.

    Attributes:
        evidence: What the release finds.
        missing: `retrieval` where a passage is there that the prompt doesn't have, `documents` where none is; None
            where the prompt has it, or nothing is known of what it should state.
        cause: Why it isn't in the prompt.
        passages: Those that state what is expected; where none does, the reference itself, as a passage.
        rank: Its place in the search, from 1; None where it isn't among the first 50.
        probability: That of an answer in what the search finds, by which the release abstains.
        crowded: Whether the prompt has other passages beside them.
        note: The reference itself, as a passage, where the passages may state it by chance.
    """

    evidence: Evidence
    missing: Strand | None
    cause: str
    passages: tuple[Passage, ...]
    rank: int | None = None
    probability: float | None = None
    crowded: bool = False
    note: Passage | None = None

    @property
    def tentative(self) -> bool:
        """Whether the passages were found by what is expected alone, which another text may have by chance."""
        return self.note is not None

    def fill(self, most: int) -> Evidence:
        """Return evidence with the passages first, and behind them what the release finds, so many in all."""
        own_ids = {one.id for one in self.passages}
        others = [one for one in self.evidence.passages if one.id not in own_ids]
        return self._make([*self.passages, *others[: max(0, most - len(self.passages))]])

    def isolate(self) -> Evidence:
        """Return evidence with the passages alone."""
        return self._make(self.passages)

    def tell(self) -> Evidence:
        """Return evidence with the reference alone."""
        return self._make([] if self.note is None else [self.note])

    def _make(self, passages: Sequence[Passage]) -> Evidence:
        return Evidence("found", tuple(passages), self.evidence.index_epochs)


class PassageFinder:
    """Looks for passages of one release's stores, wider than the release does."""

    def __init__(
        self,
        database: Database,
        retriever: Retriever,
        artifacts: Artifacts,
        releases: CaseSearch,
        tenant: str,
        target: Target,
    ) -> None:
        self._database = database
        self._retriever = retriever
        self._releases = releases
        self._tenant = tenant
        self._target = target
        self._texts = DocumentTexts(database, retriever, artifacts, tenant)

    async def find(self, case: Case, facts: ExpectedFacts, used_numbers: UsedNumbers) -> PassagePlace:
        """Find a failure's passage; `used_numbers` returns those of the passages that fit into the prompt.

        Raises:
            NotFound: A store is gone.
            Unavailable: The retriever doesn't answer.
        """
        evidence, queries = await self._releases.find(self._target, case)
        if not facts:
            return PassagePlace(evidence, None, "", ())
        spec = self._target.retrieval
        if spec is None:
            return PassagePlace(evidence, "documents", "no_stores", (_make_note(case, facts),))
        async with self._database.read() as session:
            states = await read_states(session, self._tenant, spec.vector_stores)
        texts = queries or [case.question]
        wide = await self._search(states, texts)
        in_prompt = [evidence.passages[number - 1] for number in await used_numbers(case, evidence)]
        pool = list({one.id: one for one in [*in_prompt, *wide]}.values())
        for share, note in ((_LIKELY_SHARE, None), (_POSSIBLE_SHARE, _make_note(case, facts))):
            look = partial(cover_facts, case.question, facts, pool, share=share)
            if cover := look(in_prompt):
                crowded, rank = len(in_prompt) > len(cover), _rank_in(in_prompt, cover)
                return PassagePlace(evidence, None, "", cover, rank, evidence.probability, crowded, note)
            if cover := look(evidence.passages):
                rank = _rank_in(evidence.passages, cover)
                return PassagePlace(evidence, "retrieval", "context", cover, rank, evidence.probability, note=note)
            if cover := look(wide):
                place = await self._explain(case, spec, states, evidence, texts, cover, searched=bool(queries))
                return replace(place, note=note)
        return await self._look_further(case, facts, states, evidence, wide)

    async def _search(
        self, states: StoreStates, texts: Sequence[str], filters: dict[str, object] | None = None
    ) -> list[Passage]:
        return await search(
            self._database, self._retriever, self._tenant, states, texts, limit=_WIDE, filters=filters or None
        )

    async def _explain(
        self,
        case: Case,
        spec: RetrievalSpec,
        states: StoreStates,
        evidence: Evidence,
        texts: Sequence[str],
        cover: tuple[Passage, ...],
        *,
        searched: bool,
    ) -> PassagePlace:
        """Say why passages that a plain search finds weren't in the prompt: the first rule that keeps them out."""
        filters = join_filters(spec.filters or None, case.filters)
        among = await self._search(states, texts, filters)
        rank = _rank_in(among, cover)
        lowest = min(one.score for one in cover)
        if not searched:
            cause = "search_decision"
        elif rank is None:
            cause = "filters" if filters else "ranking"
        elif spec.score_threshold and lowest < spec.score_threshold:
            cause = "score_threshold"
        elif evidence.status == "nothing_likely":
            cause = "abstention"
        else:
            # The rules are at fault where it would have been among the passages without them.
            cause = "limit" if rank > spec.top_k or _is_plain(spec) else "ranking_rules"
        return PassagePlace(evidence, "retrieval", cause, cover, rank, evidence.probability)

    async def _look_further(
        self,
        case: Case,
        facts: ExpectedFacts,
        states: StoreStates,
        evidence: Evidence,
        wide: Sequence[Passage],
    ) -> PassagePlace:
        """Search by what is expected, and in whole documents; what nothing states stands in no document."""
        note = _make_note(case, facts)
        by_value = await self._search(states, [f"{case.question} {text}" for text in facts.texts[:4]])
        pool = list({one.id: one for one in [*wide, *by_value]}.values())
        cover = cover_facts(case.question, facts, pool, by_value)
        if cover:
            return PassagePlace(evidence, "retrieval", "ranking", cover, note=note)
        documents = list(dict.fromkeys((one.store, one.document) for one in [*by_value[:20], *wide[:20]]))
        for store, document in documents[:_DOCUMENTS]:
            text = await self._texts.read_present(states, store, document)
            if facts.is_stated_in(text):
                first = next(one for one in pool if one.document == document)
                piece = replace(first, id=f"whole-{document}", text=_cut_out(text, facts))
                if cover_facts(case.question, facts, [*pool, piece], [piece]):
                    return PassagePlace(evidence, "retrieval", "chunking", (piece,), note=note)
        return PassagePlace(evidence, "documents", "missing", (note,))


def cover_facts(
    question: str,
    expected_facts: ExpectedFacts,
    pool: Sequence[Passage],
    candidates: Sequence[Passage],
    *,
    share: float = _LIKELY_SHARE,
) -> tuple[Passage, ...]:
    """Return the fewest of the candidates, best first, that state all facts together; none where they don't.

    A passage counts where it is about the question: it has a `share` of the weight of the question's words that the
    best of the `pool` has, or more. A word weighs more, the fewer passages of the pool have it. What a document is
    called is about something too, and states nothing: a number in a file's name is no fact.
    """
    if not candidates:
        return ()
    texts = {one.id: f"{one.key} {one.heading}\n{one.text}" for one in [*pool, *candidates]}
    words = {id: _read_words(text) for id, text in texts.items()}
    own = _read_words(question)
    counts = Counter(word for some in words.values() for word in some & own)
    weights = {word: log((len(texts) + 1) / count) for word, count in counts.items()}
    scores = {id: sum(weights[word] for word in some & own) for id, some in words.items()}
    least = share * max(scores.values())
    near = [one for one in candidates if scores[one.id] >= least]
    facts = {one.id: expected_facts.find_in(f"{one.heading}\n{one.text}") for one in near}
    cover: list[Passage] = []
    missing = set(range(len(expected_facts.facts)))
    while missing:
        best = max(
            near,
            key=lambda one: (len(missing & facts[one.id]), scores[one.id]),
            default=None,
        )
        if best is None or not missing & facts[best.id]:
            return ()
        cover.append(best)
        missing -= facts[best.id]
    return tuple(cover)


def _rank_in(passages: Sequence[Passage], cover: Sequence[Passage]) -> int | None:
    """Return the last place of the cover, from 1; None where one isn't there."""
    places = {one.id: at for at, one in enumerate(passages, 1)}
    ranks = [places.get(one.id) for one in cover]
    present_ranks = [rank for rank in ranks if rank is not None]
    return max(present_ranks) if present_ranks and len(present_ranks) == len(ranks) else None


def _is_plain(spec: RetrievalSpec) -> bool:
    """Tell whether nothing but the search's order decides what stays."""
    return not (spec.boosts or spec.collapse_duplicates or spec.max_per_document) and spec.rerank is UNSET


def _make_note(case: Case, facts: ExpectedFacts) -> Passage:
    """Return what should be known as a passage of its own."""
    text = case.reference or "; ".join(facts.texts)
    return Passage(
        id="reference",
        store="",
        document="",
        key="reference",
        version=1,
        file_id="",
        filename="reference",
        text=f"{case.question}\n{text}"[:_PASSAGE_CHARACTERS],
        start=0,
        end=0,
        heading="",
        score=1.0,
        attributes={},
    )


def _cut_out(text: str, facts: ExpectedFacts) -> str:
    """Return the part of a text in which all facts stand, if they stand close; else its beginning."""
    for start in range(0, max(1, len(text)), _PASSAGE_CHARACTERS // 2):
        piece = text[start : start + _PASSAGE_CHARACTERS]
        if facts.is_stated_in(piece):
            return piece
    return text[: 4 * _PASSAGE_CHARACTERS]


def _read_words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.casefold()) if not is_function_word(word)}
