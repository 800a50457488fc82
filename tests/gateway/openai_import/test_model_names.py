"""Old names for new models: each is an assistant whose one release has the model, and none is taken from its owner."""

from typing import Any

import pytest

from gateway.client import GatewayError
from gateway.openai_import.model_names import name_models
from gateway.openai_import.report import ImportReport, KindCount
from tests.gateway.openai_import.answering_client import AnsweringClient, destination

OLD, NEW = "ft:gpt-4o-mini:acme:voice:AbC", "ft:base:voice:1"
PATH = "/api/assistants/ft%3Agpt-4o-mini%3Aacme%3Avoice%3AAbC"
RELEASES = f"{PATH}/releases"


def release(number: int, model: str | None) -> dict[str, Any]:
    return {"release": number, "spec": {"adapter": model and {"model": model}}}


async def match_names(answers: dict[str, Any], made: dict[str, Any]) -> tuple[list[tuple[str, Any]], ImportReport]:
    report = ImportReport(dry_run=False)
    async with AnsweringClient(answers, made) as client:
        await name_models(destination(client), report, {OLD: NEW})
        return client.sent, report


ROLLOUT = (f"PUT {PATH}/rollout", {"stages": [{"release": 4}], "revision": 0})


async def test_a_new_name_is_an_assistant_with_a_release_that_gets_all_traffic() -> None:
    made = {"/api/assistants": {"revision": 0}, RELEASES: {"release": 4}}
    sent, report = await match_names({RELEASES: []}, made)
    assert sent == [("POST /api/assistants", {"name": OLD}), (f"POST {RELEASES}", {"adapter": NEW}), ROLLOUT]
    assert report.counts == {"model_names": KindCount(total=1, imported=1)}


async def test_what_an_earlier_run_made_of_a_name_is_gone_on_with() -> None:
    releases = [release(3, "ft:base:other:1"), release(4, NEW), release(5, None)]
    sent, report = await match_names({PATH: {"revision": 0}, RELEASES: releases}, {})
    assert sent == [ROLLOUT]
    assert report.counts == {"model_names": KindCount(total=1, imported=1)}


async def test_a_name_with_a_rollout_is_its_owners() -> None:
    sent, report = await match_names({PATH: {"revision": 2}}, {})
    assert (sent, report.counts) == ([], {"model_names": KindCount(total=1, present=1)})


async def test_a_refused_name_is_told_and_a_refused_key_ends_it() -> None:
    sent, report = await match_names({}, {"/api/assistants": GatewayError(409, "It is a model.")})
    assert len(sent) == 1
    assert report.counts == {"model_names": KindCount(total=1, omitted=1)}
    assert [(one.name, one.reason) for one in report.omissions] == [(OLD, "It is a model.")]
    with pytest.raises(GatewayError):
        await match_names({PATH: GatewayError(403, "No.")}, {})
