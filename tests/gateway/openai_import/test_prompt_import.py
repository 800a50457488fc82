"""Prompts of OpenAI's dashboard as templates: they print what they said, and what they can't have is told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import prompts
from gateway.client import GatewayError
from gateway.openai_import.export_folder import ExportFolder
from gateway.openai_import.prompt_import import import_prompts, to_template
from gateway.openai_import.report import ImportReport, KindCount
from tests.gateway.openai_import.answering_client import AnsweringClient, destination

SYSTEM = {"role": "system", "content": "Be kind."}


def print_prompt(text: str, **values: str) -> str:
    template, left = to_template({"instructions": text})
    assert left == []
    return prompts.compile(template).render("system", values)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("Hello {{name}}!", "Hello Ada!"),
        ("Hello {{ name }}{{name}}", "Hello AdaAda"),
        ("{{\n name\t}}", "Ada"),
        ("Answer with {% raw %}", "Answer with {% raw %}"),
        ("{# no comment #}", "{# no comment #}"),
        ("{{ name | upper }}", "{{ name | upper }}"),
        ("{{ 7 }} and {{first name}}", "{{ 7 }} and {{first name}}"),
        ("{{{name}}}", "{{{name}}}"),
        ('{"a": {"b": {}}}', '{"a": {"b": {}}}'),
    ],
)
def test_a_name_is_filled_and_whatever_else_jinja_would_read_is_printed(text: str, result: str) -> None:
    assert print_prompt(text, name="Ada") == result


PIECES = st.sampled_from(["{", "}", "{{", "}}", "{%", "%}", "{#", "#}", "-", "'", '"', "\\", " ", "\n", "x", "7", "ä"])


@given(st.lists(PIECES, min_size=1, max_size=12).map("".join).filter(lambda text: text.strip() != ""))
def test_a_text_without_names_is_printed_as_it_was(text: str) -> None:
    template, _ = to_template({"instructions": text})
    compiled = prompts.compile(template)
    values = dict.fromkeys(compiled.variables, "v")
    if not values:
        assert compiled.render("system", values) == text.strip()
    else:
        assert values.keys() <= {"x", "ä"}, "nothing but a name is one"


@pytest.mark.parametrize("kind", ["messages", "input"])
def test_the_systems_texts_are_one_and_other_messages_are_told(kind: str) -> None:
    messages = [
        SYSTEM,
        {"role": "user", "content": "{{question}}"},
        "no message",
        {"role": "developer", "content": [{"text": "Be brief."}, {"text": None}, "x", {"text": "Be honest."}]},
        {"role": "system", "content": " "},
        {"role": "system"},
    ]
    template, left = to_template({"instructions": "You are {{name}}.", kind: messages})
    assert template == "You are {{ name }}.\n\nBe kind.\n\nBe brief.\nBe honest."
    assert [reason.split(" isn't")[0] for reason in left] == ["a message of the role 'user'"]


@pytest.mark.parametrize("name", ["instructions", "template", "content"])
def test_a_text_under_any_of_its_names_is_the_prompt(name: str) -> None:
    assert to_template({name: "Be kind.", "messages": []}) == ("Be kind.", [])
    assert to_template({name: ["Be kind."]}) == ("", [])


@pytest.mark.parametrize(
    ("members", "words"),
    [({"tools": [{}]}, ["tools"]), ({"tools": []}, []), ({"model": "gpt-4o"}, ["'gpt-4o'"]), ({"model": None}, [])],
)
def test_tools_and_a_model_stay_behind(members: dict[str, Any], words: list[str]) -> None:
    _, left = to_template({"instructions": "Be kind.", **members})
    assert [word in reason for word, reason in zip(words, left, strict=True)] == [True] * len(words)


def export_of(*records: dict[str, Any]) -> ExportFolder:
    return ExportFolder({"prompt": {str(number): one for number, one in enumerate(records)}}, {}, {}, {})


async def run_import(
    *records: dict[str, Any],
    there: dict[str, Any] | None = None,
    refusal: GatewayError | None = None,
    dry: bool = False,
) -> tuple[list[Any], ImportReport]:
    made = {"/api/prompts": refusal} if refusal else {}
    report = ImportReport(dry_run=dry)
    async with AnsweringClient(there or {}, made) as client:
        await import_prompts(export_of(*records), destination(client, dry_run=dry), report)
        return [(body["name"], body["template"]) for _, body in client.sent], report


def version(number: Any, text: str = "", id: str = "pmpt_a") -> dict[str, Any]:
    return {"id": id, "version": number, "name": "Desk", "instructions": text or f"Version {number}."}


async def test_versions_are_made_oldest_first_by_number() -> None:
    sent, report = await run_import(version("10"), version("9"), version(None), version("x"), version("1", id="pmpt_0"))
    assert [text for _, text in sent] == ["Version 1.", "Version None.", "Version x.", "Version 9.", "Version 10."]
    assert report.counts["prompts"] == KindCount(total=5, imported=5)


async def test_a_version_that_is_there_already_is_not_made_again() -> None:
    there = {
        "/api/prompts/pmpt_a/versions": [{"version": 1}, {"version": 2}],
        "/api/prompts/pmpt_a@1": {"template": "Version 1."},
        "/api/prompts/pmpt_a@2": {"template": "Version 3."},
    }
    sent, report = await run_import(version("1"), version("2"), version("3"), there=there)
    assert sent == [("pmpt_a", "Version 2.")]
    assert report.counts["prompts"] == KindCount(total=3, present=2, imported=1)


@pytest.mark.parametrize(
    ("id", "name"), [("pmpt_ä b/c", "pmpt_-b-c"), ("__.-pmpt", "pmpt"), ("p" * 70, "p" * 63), ("p.m_p-t", "p.m_p-t")]
)
async def test_an_id_becomes_a_name_that_prompts_may_have(id: str, name: str) -> None:
    assert (await run_import(version("1", id=id)))[0] == [(name, "Version 1.")]


async def test_a_prompt_that_is_refused_stops_no_other_and_one_without_text_is_left_out() -> None:
    refusal = GatewayError(400, "It has no end.")
    sent, report = await run_import(version("1"), version("2"), {"id": "p", "model": "gpt-4o"}, refusal=refusal)
    assert len(sent) == 2
    assert report.counts["prompts"] == KindCount(total=3, omitted=3)
    reasons = [one.reason for one in report.omissions]
    assert len(reasons) == 3, "of what isn't taken at all, its parts aren't told"
    assert sorted(reasons)[:2] == ["It has no end."] * 2


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_an_error_that_concerns_all_prompts_ends_the_import(status: int) -> None:
    with pytest.raises(GatewayError):
        await run_import(version("1"), refusal=GatewayError(status, "No."))
    with pytest.raises(GatewayError):
        await run_import(version("1"), there={"/api/prompts/pmpt_a/versions": GatewayError(status, "No.")})


async def test_a_dry_run_makes_no_prompt_and_counts_those_that_it_would() -> None:
    sent, report = await run_import(version("1"), {"id": "p"}, dry=True)
    assert (sent, report.counts["prompts"]) == ([], KindCount(total=2, imported=1, omitted=1))
