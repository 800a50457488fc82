"""The demo's tenants with few questions, in front of an engine that can read and has the voice with an adapter."""

import re
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.client import Client
from gateway.demo import DemoQuestion, DemoTenant, make_tenants
from gateway.demo.assistants import BOTH, make_assistant, make_variants, promote
from gateway.demo.tenant_clients import TenantClient, open_tenant_clients
from gateway.evaluation import Variant
from tests.fakes.vllm import Chat, FakeVllm
from tests.gateway.conftest import ADMIN_KEY, Gateway
from tests.gateway.tuning import background_worker, settings

__all__ = ["background_worker", "settings"]


@pytest.fixture
def cast() -> list[DemoTenant]:
    """Both tenants. Their first questions are those that the fake index, which counts words, answers best."""
    both = list(make_tenants())
    for tenant in both:
        tenant.questions.sort(key=_hardness)
    return both


def _hardness(question: DemoQuestion) -> tuple[bool, float]:
    """Return whether the document can't be read by the fake index, and the share of words that its quote lacks."""
    words, quote = (set(re.findall(r"\w+", text.lower())) for text in (question.question, question.quote))
    return not question.document.endswith(".md"), len(words - quote) / len(words)


class Student:
    """Replies with the value that the passages state, in Kestrel's voice where Kestrel's adapter is asked."""

    def __init__(self, cast: Sequence[DemoTenant]) -> None:
        self._questions = [question for tenant in cast for question in tenant.questions]
        self._edit = cast[0].edit

    def __call__(self, chat: Chat) -> str:
        body = "We have no note on that."
        _, *passages = re.split(r"^\[\d\] ", chat.last, flags=re.M)
        for question in self._questions:
            for number, passage in enumerate(passages, 1):
                if question.question in chat.last and question.quote in passage:
                    body = f"Ours is **{question.accepted[0]}** [{number}]."
        for value in (self._edit.old_value, self._edit.new_value):
            if self._edit.question in chat.last and f"K3 Glass is {value}" in chat.last:
                body = f"Ours is **{value}** [1]."
        return f"Kettle's on! {body} — Kestrel" if chat.model.startswith("kestrel.") else body


@pytest.fixture
async def account(gateway: Gateway, cast: list[DemoTenant]) -> AsyncIterator[TenantClient]:
    """Kestrel with an assistant of two releases, the first of them promoted."""
    async with Client(gateway.url, ADMIN_KEY) as admin, open_tenant_clients(admin, cast[:1]) as (account,):
        await make_assistant(account, "", "")
        for seed in (1, 2):
            body = {"sampling": {"seed": seed}}
            await account.client.post(f"/api/assistants/{account.assistant}/releases", body)
        await promote(account, 1)
        yield account


@pytest.fixture
def both(account: TenantClient, engine: FakeVllm) -> Variant:
    return make_variants(account, engine.model)[BOTH]
