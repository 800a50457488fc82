import pytest

from gateway.client import GatewayError
from gateway.demo import first_answers
from gateway.demo.first_answers import show_first_answer
from gateway.demo.tenant_clients import TenantClient
from gateway.evaluation import Variant
from gateway.progress import Progress
from tests.fakes.vllm import FakeVllm


async def test_an_answer_is_told_with_its_question(
    account: TenantClient, both: Variant, engine: FakeVllm, capsys: pytest.CaptureFixture[str]
) -> None:
    engine.reply = lambda chat: "Ahoy.\nLog: nothing."
    question = account.tenant.questions[0]
    first = await show_first_answer(account, both, question, Progress())
    assert (first.tenant, first.variant, first.question) == ("kestrel", "both", question.question)
    assert (first.sources, first.cited) == ([], [])
    assert first.seconds >= 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[-3].split(maxsplit=1) == ["question:", question.question]
    assert lines[-2].split(maxsplit=1) == ["both:", "Ahoy."]
    assert lines[-1].strip() == "Log: nothing."


async def test_a_record_that_never_comes_is_an_error(
    account: TenantClient, both: Variant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_answers, "_RECORD_ATTEMPTS", 2)
    monkeypatch.setattr(first_answers, "_RECORD_PAUSE", 0.01)
    with pytest.raises(GatewayError) as caught:
        await first_answers.find_record(account.client, "chatcmpl-none")
    assert caught.value.status == 404
