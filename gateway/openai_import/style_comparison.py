"""New models held against the hosted ones that they stand for, by what both answer to the same conversations."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.client import GatewayError
from gateway.counts import format_count
from gateway.evaluation.estimate import estimate_mean, estimate_mean_difference
from gateway.evaluation.even_sample import thin_out
from gateway.evaluation.voice_classifier import compare_texts, score_voices
from gateway.openai_import.destination import Destination
from gateway.openai_import.hosted_outputs import HostedOutput
from gateway.openai_import.report import ImportReport, StyleSimilarity
from gateway.task_group import await_each

__all__ = ["LEAST_OUTPUTS", "compare_models", "compare_style"]

LEAST_OUTPUTS = 10
"""Fewer hosted answers say nothing about a style."""
_AT_ONCE = 4
_MAX_TOKENS = 512


async def compare_models(
    outputs: Mapping[str, Sequence[HostedOutput]], gateway: Destination, report: ImportReport, most: int
) -> None:
    """Ask each new model, and the base model, what the hosted one was asked, and report how alike the answers are.

    At most `most` conversations per model are asked, spread over all of them.
    """
    for hosted, model in report.models.items():
        selection = thin_out(outputs.get(hosted, ()), most)
        if len(selection) < LEAST_OUTPUTS:
            reason = (
                f"the export has {format_count(len(selection), 'answer')} of it to be asked again, and "
                f"{LEAST_OUTPUTS} are the fewest that say anything about a style"
            )
            report.note("style", hosted, model, reason)
            continue
        try:
            answers = await _ask_all(gateway, model, selection, f"answers of {hosted}")
            base = await _ask_all(gateway, gateway.base, selection, "answers of the base model")
        except GatewayError as error:
            if not gateway.is_refusal(error):
                raise
            report.note("style", hosted, model, str(error))
            continue
        hosted_answers = [one.text for one in selection]
        report.similarities.append(await asyncio.to_thread(compare_style, hosted, model, hosted_answers, answers, base))


def compare_style(
    hosted: str, model: str, hosted_answers: Sequence[str], answers: Sequence[str], base_answers: Sequence[str]
) -> StyleSimilarity:
    """Compare three models' answers to the same questions, in one order.

    Raises:
        ValueError: There are fewer than four.
    """
    texts = {"model": answers, "hosted": hosted_answers, "base": base_answers}
    voices = score_voices(hosted_answers, base_answers, texts)
    closeness = [compare_texts(one, other) for one, other in zip(answers, hosted_answers, strict=True)]
    of_base = [compare_texts(one, other) for one, other in zip(base_answers, hosted_answers, strict=True)]
    return StyleSimilarity(
        hosted,
        model,
        len(answers),
        voice=estimate_mean(voices["model"]),
        hosted_voice=estimate_mean(voices["hosted"]),
        base_voice=estimate_mean(voices["base"]),
        closeness=estimate_mean(closeness),
        gain=estimate_mean_difference(closeness, of_base),
    )


async def _ask_all(gateway: Destination, model: str, outputs: Sequence[HostedOutput], title: str) -> list[str]:
    count = 0

    async def ask(output: HostedOutput) -> str:
        nonlocal count
        body = {"model": model, "messages": output.messages, "temperature": 0, "seed": 42, "max_tokens": _MAX_TOKENS}
        answer: Any = await gateway.create("/v1/chat/completions", body)
        count += 1
        gateway.show(title, count, len(outputs))
        return answer["choices"][0]["message"]["content"] or ""

    return await await_each(ask, outputs, at_once=_AT_ONCE)
