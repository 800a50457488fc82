"""The cases of a diagnosis, read from where they are: the request, a run of an eval, a gate, votes."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.answering.question import Message
from gateway.answers.record import AnswerRecord
from gateway.answers.service import AnswerService, CitedDocuments
from gateway.diagnoses.answer_judge import find_expected
from gateway.diagnoses.cases import Case
from gateway.diagnoses.schemas import DiagnosisCase, GateSource, RunSource
from gateway.errors import Conflict
from gateway.evals.run_service import EvalRunService
from gateway.evals.schemas import EvalRunOutputItem
from gateway.evals.templates import UnknownPlace, render
from gateway.feedback.service import BadVote, walk_bad_votes
from gateway.gates.service import GateService
from gateway.pages import PageRequest

__all__ = ["SourceCases", "read_gate", "read_request", "read_run", "read_votes"]

_PAGE = 1000
_MOST_ITEMS = 5000
_MOST_VOTES = 5000
"""Of the assistant, with choices between answers of any."""
_CUT = 2000
"""Characters of a question or reply in a gate's report; what is as long may be cut."""
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class SourceCases(msgspec.Struct, frozen=True):
    """The cases of one source, and the model that answered them, "" where it isn't told."""

    name: str
    model: str
    failures: Sequence[Case]
    passes: Sequence[Case]


async def read_request(
    session: AsyncSession,
    tenant: str,
    documents: CitedDocuments,
    failures: Sequence[DiagnosisCase],
    passes: Sequence[DiagnosisCase],
) -> SourceCases:
    """Return the cases of the request, with what the records of their answers tell.

    Raises:
        NotFound: The tenant has no such answer.
    """
    answers = AnswerService(session, tenant, documents)
    failed = [await _read_case(answers, "failures", at, one) for at, one in enumerate(failures)]
    right = [await _read_case(answers, "passes", at, one) for at, one in enumerate(passes)]
    model = next((one.answered_by for one in failed if one.answered_by), "")
    return SourceCases("request", model, failed, right)


async def _read_case(answers: AnswerService, name: str, at: int, case: DiagnosisCase) -> Case:
    if case.messages is None:
        messages = [Message("user", case.question)]
    else:
        messages = _to_messages([one.model_dump() for one in case.messages])
    read = Case(
        id=f"{name}:{at}",
        messages=messages,
        answer=case.answer,
        reference=case.reference,
        expected=case.expected,
        reason=case.reason,
        answer_id=case.answer_id or "",
    )
    if case.answer_id is None:
        return read
    record = await answers.get(case.answer_id, param=f"{name}[{at}].answer_id")
    return msgspec.structs.replace(
        read, answered_by=record.release or "", index_epochs=record.index_epochs, filters=record.filters
    )


async def read_run(runs: EvalRunService, criteria: Sequence[dict[str, Any]], source: RunSource) -> SourceCases:
    """Return the output items of a run that failed, and those that passed; what its criteria compare with is expected.

    Raises:
        NotFound: The tenant has no such run.
        Conflict: It hasn't ended.
    """
    run = await runs.get(source.eval_id, source.run_id)
    if run.status in ("queued", "in_progress"):
        raise Conflict(
            f"The run {run.id} is {run.status}. Diagnose it when it has ended.",
            param="run.run_id",
            code="run_not_ended",
        )
    failures = [_read_item(one, criteria) for one in await _list_items(runs, source, "fail")]
    passes = [_read_item(one, criteria) for one in await _list_items(runs, source, "pass")]
    return SourceCases(run.id, run.model, [one for one in failures if one], [one for one in passes if one])


async def _list_items(runs: EvalRunService, source: RunSource, status: Any) -> list[EvalRunOutputItem]:
    items: list[EvalRunOutputItem] = []
    after: str | None = None
    while len(items) < _MOST_ITEMS:
        page = await runs.list_items(source.eval_id, source.run_id, PageRequest(_PAGE, "asc", after, None), status)
        items += page.data
        if not page.has_more:
            break
        after = page.last_id
    return items


def _read_item(item: EvalRunOutputItem, criteria: Sequence[dict[str, Any]]) -> Case | None:
    """Return an output item as a case; None where it has no question that can be asked again."""
    messages = _to_messages(item.sample.get("input") or [])
    if not messages or messages[-1].role != "user":
        return None
    output: list[dict[str, Any]] = item.sample.get("output") or [{}]
    texts, reference = _read_criteria(item.datasource_item, criteria)
    failed = [one["name"] for one in item.results if not one.get("passed")]
    return Case(
        id=f"{item.run_id}:{item.datasource_item_id}",
        messages=messages,
        answer=output[0].get("content") or "",
        reference=reference,
        expected=texts,
        reason=", ".join(failed),
    )


def _read_criteria(item: Mapping[str, Any], criteria: Sequence[dict[str, Any]]) -> tuple[list[str], str]:
    """Return the texts that string checks look for, and the reference that a similarity is measured with."""
    texts: list[str] = []
    reference = ""
    for one in criteria:
        if one["type"] not in ("string_check", "text_similarity") or one.get("operation") == "ne":
            continue
        try:
            text = render(one["reference"], {"item": item})
        except UnknownPlace:
            continue
        if one["type"] == "string_check":
            texts.append(text)
        else:
            reference = reference or text
    return [text for text in texts if text.strip()], reference


async def read_gate(gates: GateService, source: GateSource) -> SourceCases:
    """Return the rows of a gate, by whether its candidate's answers have the replies' values and keep to their style.

    Raises:
        NotFound: The release has had no gate.
        Conflict: It hasn't succeeded.
    """
    gate = await gates.get(source.assistant, source.release)
    if gate.report is None:
        raise Conflict(
            f"The gate of {source.assistant}@{source.release} has no report: it is {gate.status}.",
            param="gate.release",
            code="no_report",
        )
    failures: list[Case] = []
    passes: list[Case] = []
    for row in gate.report["examples"]:
        if max(len(row["question"]), len(row["reply"])) >= _CUT:
            continue
        case = Case(
            id=f"{gate.id}:{row['row']}",
            messages=[Message("user", row["question"])],
            answer=row["answers"]["candidate"],
            reference=row["reply"],
            reason=", ".join(row["broken"]),
        )
        right = find_expected(case).is_stated_in(case.answer) and not row["broken"]
        (passes if right else failures).append(case)
    return SourceCases(gate.id, f"{source.assistant}@{source.release}", failures, passes)


async def read_votes(
    session: AsyncSession, tenant: str, documents: CitedDocuments, assistant: str, most: int
) -> SourceCases:
    """Return the answers of an assistant that its newest votes are against, at most `most`, each once.

    Votes without the conversation are left out: records of answers have no texts that could be asked again. Older
    votes aren't read once there are enough.
    """
    answers = AnswerService(session, tenant, documents)
    cases: dict[str, Case] = {}
    async with aclosing(walk_bad_votes(session, tenant, assistant, most=_MOST_VOTES)) as slices:
        async for votes in slices:
            whole = [vote for vote in votes if vote.messages]
            records = await answers.list_records({vote.answer_id for vote in whole})
            for vote in whole:
                case = _read_vote(vote, records.get(vote.answer_id), assistant)
                earlier = cases.get(vote.answer_id)
                # A correction says the most.
                if case and (earlier is None or (case.reference and not earlier.reference)):
                    cases[vote.answer_id] = case
            if len(cases) >= most:
                break
    return SourceCases("votes", "", list(cases.values())[:most], ())


def _read_vote(vote: BadVote, record: AnswerRecord | None, assistant: str) -> Case | None:
    """Return a vote as a case; None where it is against another assistant, or can't be asked again."""
    release = (record and record.release) or vote.release or ""
    messages = _to_messages(vote.messages or [])
    if release.rpartition("@")[0] != assistant or not messages:
        return None
    return Case(
        id=f"votes:{vote.answer_id}",
        messages=messages,
        answer=vote.reply or "",
        reference=vote.corrected_reply or "",
        reason=vote.reason or "",
        answer_id=vote.answer_id,
        answered_by=release,
        index_epochs={} if record is None else record.index_epochs,
        filters=None if record is None else record.filters,
    )


def _to_messages(messages: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Return a conversation; none where a message has a role that isn't replayed: tools aren't called again."""
    if any(one["role"] not in _ROLES for one in messages):
        return []
    return [msgspec.convert({"role": _ROLES[one["role"]], "content": one["content"]}, Message) for one in messages]
