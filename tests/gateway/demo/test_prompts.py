import pytest

import prompts
from gateway.demo import DemoTenant, make_tenants

TENANTS = pytest.mark.parametrize("tenant", make_tenants(), ids=lambda tenant: tenant.name)


def rendered(tenant: DemoTenant, passages: list[prompts.NumberedPassage] | None) -> list[str]:
    drafted = prompts.draft(prompts.compile(tenant.prompt), question="How late is it?", passages=passages)
    return [message["content"] for message in drafted.fit([0] * len(drafted.segments), 0).messages]


@TENANTS
def test_passages_are_numbered_and_stand_before_the_question(tenant: DemoTenant) -> None:
    system, question = rendered(
        tenant, [prompts.NumberedPassage(1, "a > b", "One."), prompts.NumberedPassage(2, "page 2", "Two.")]
    )
    assert tenant.name in system.casefold()
    places = [question.index(text) for text in ("[1] ## a > b\n\nOne.", "[2] ## page 2\n\nTwo.", "cite its number")]
    assert places == sorted(places)
    assert question.endswith("Question: How late is it?")


@TENANTS
def test_a_search_that_found_nothing_differs_from_no_search(tenant: DemoTenant) -> None:
    assert "none found" in rendered(tenant, [])[1]
    assert rendered(tenant, None)[1] == "Question: How late is it?"


@TENANTS
def test_a_clients_instructions_stand_behind_the_prompts_own_in_the_words_of_before(tenant: DemoTenant) -> None:
    drafted = prompts.draft(prompts.compile(tenant.prompt), question="?", instructions=" Be kind. ")
    assert drafted.system == f"{rendered(tenant, None)[0]}\n\nInstructions from the application:\nBe kind."


@TENANTS
def test_the_prompt_is_short(tenant: DemoTenant) -> None:
    # A 135M model reads it for every question, on two slow cores.
    assert sum(len(text.split()) for text in rendered(tenant, [prompts.NumberedPassage(1, "", "")])) <= 40


@TENANTS
def test_the_style_guide_names_what_the_rules_check(tenant: DemoTenant) -> None:
    named = {
        "kestrel": ("Kettle's on!", "— Kestrel", "14 words", "**fact**", "never as I"),
        "harbor": ("Ahoy, traveller.", "Fair winds.", "16 words", '"Log: "', "Never say we"),
    }[tenant.name]
    for words in named:
        assert words in tenant.style_guide
