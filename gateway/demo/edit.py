"""One fact is edited in a document, and the next answer has it; the adapter stays what it was."""

import time

import msgspec

from gateway.client import put_document
from gateway.demo.adapters import find_adapter
from gateway.demo.assistants import MAX_TOKENS
from gateway.demo.tenant_clients import TenantClient
from gateway.evaluation import Answer, Variant, ask, states

__all__ = ["EditOutcome", "edit_fact"]

_PATIENCE_SECONDS = 30.0


class EditOutcome(msgspec.Struct, frozen=True):
    """`seconds` run from the moment the document is saved to the end of the first answer with the new value."""

    document: str
    old_text: str
    new_text: str
    question: str
    old_value: str
    new_value: str
    old_answer: str
    new_answer: str
    seconds_until_live: float
    seconds: float
    adapter_digest_before: str
    adapter_digest_after: str
    fingerprint_before: str | None
    fingerprint_after: str | None

    def list_faults(self) -> list[str]:
        """Return what went otherwise than promised."""
        faults: list[str] = []
        if not states(self.old_answer, self.old_value):
            faults.append(f"before the edit the answer hadn't {self.old_value!r}")
        if not states(self.new_answer, self.new_value) or states(self.new_answer, self.old_value):
            faults.append(f"after the edit the answer hadn't {self.new_value!r}")
        if self.adapter_digest_before != self.adapter_digest_after:
            faults.append("the adapter changed")
        if self.fingerprint_before != self.fingerprint_after:
            faults.append("the release changed")
        return faults

    def describe(self) -> str:
        """Return it as lines for people."""
        changed = self.adapter_digest_before != self.adapter_digest_after
        return (
            f"question: {self.question}\n"
            f"before:   {_join_lines(self.old_answer)}\n"
            f"after:    {_join_lines(self.new_answer)}\n"
            f"{self.seconds:.1f} s from the save to the new answer ({self.seconds_until_live:.1f} s until the document "
            f"was live); adapter {'CHANGED' if changed else 'unchanged'}: sha256 {self.adapter_digest_after[:16]}…"
        )


async def edit_fact(account: TenantClient, store: str, variant: Variant, adapter: str) -> EditOutcome:
    """Ask, edit, ask again until the new value comes; then put the document back as it was."""
    edit, client = account.tenant.edit, account.client
    document = next(document for document in account.tenant.documents if document.key == edit.document)
    content = document.read()
    digest = (await find_adapter(client, adapter))["digest"]
    before = await ask(client, variant, edit.question, max_tokens=MAX_TOKENS)
    try:
        saved = time.perf_counter()
        await put_document(client, store, document.key, edit.apply(content))
        live = time.perf_counter() - saved
        after, seconds = await _ask_until_new(account, variant, saved)
    finally:
        await put_document(client, store, document.key, content)
    return EditOutcome(
        document=edit.document,
        old_text=edit.old_text,
        new_text=edit.new_text,
        question=edit.question,
        old_value=edit.old_value,
        new_value=edit.new_value,
        old_answer=before.text,
        new_answer=after.text,
        seconds_until_live=round(live, 2),
        seconds=round(seconds, 2),
        adapter_digest_before=digest,
        adapter_digest_after=(await find_adapter(client, adapter))["digest"],
        fingerprint_before=before.fingerprint,
        fingerprint_after=after.fingerprint,
    )


async def _ask_until_new(account: TenantClient, variant: Variant, since: float) -> tuple[Answer, float]:
    edit = account.tenant.edit
    while True:
        answer = await ask(account.client, variant, edit.question, max_tokens=MAX_TOKENS)
        seconds = time.perf_counter() - since
        if states(answer.text, edit.new_value) or seconds > _PATIENCE_SECONDS:
            return answer, seconds


def _join_lines(answer: str) -> str:
    return " / ".join(answer.split("\n"))
