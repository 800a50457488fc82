"""One fact is edited in a document, and the next answer has it; the adapter stays what it was."""

import time

import msgspec

from gateway.cli.demo.accounts import Account
from gateway.cli.demo.arms import Answer, Arm, ask
from gateway.cli.demo.facts import states
from gateway.cli.demo.lessons import find_adapter
from gateway.cli.docs import put_document

__all__ = ["EditOutcome", "edit_fact"]

_PATIENCE_SECONDS = 30.0


class EditOutcome(msgspec.Struct, frozen=True):
    """`seconds` run from the moment the document is saved to the end of the first answer with the new value."""

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

    def faults(self) -> list[str]:
        """Say what went otherwise than promised."""
        found: list[str] = []
        if not states(self.old_answer, self.old_value):
            found.append(f"before the edit the answer hadn't {self.old_value!r}")
        if not states(self.new_answer, self.new_value) or states(self.new_answer, self.old_value):
            found.append(f"after the edit the answer hadn't {self.new_value!r}")
        if self.adapter_digest_before != self.adapter_digest_after:
            found.append("the adapter changed")
        if self.fingerprint_before != self.fingerprint_after:
            found.append("the release changed")
        return found


async def edit_fact(account: Account, store: str, base: str, adapter: str) -> EditOutcome:
    """Ask, edit, ask again until the new value comes; then the document is put back as it was."""
    edit = account.tenant.edit
    document = next(document for document in account.tenant.documents if document.key == edit.document)
    content = document.read()
    digest = (await find_adapter(account.gateway, adapter))["digest"]
    before = await ask(account, Arm.BOTH, edit.question, base)
    try:
        saved = time.perf_counter()
        await put_document(account.gateway, store, document.key, edit.apply(content))
        live = time.perf_counter() - saved
        after, seconds = await _ask_until(account, edit.question, edit.new_value, base, saved)
    finally:
        await put_document(account.gateway, store, document.key, content)
    return EditOutcome(
        question=edit.question,
        old_value=edit.old_value,
        new_value=edit.new_value,
        old_answer=before.text,
        new_answer=after.text,
        seconds_until_live=round(live, 2),
        seconds=round(seconds, 2),
        adapter_digest_before=digest,
        adapter_digest_after=(await find_adapter(account.gateway, adapter))["digest"],
        fingerprint_before=before.fingerprint,
        fingerprint_after=after.fingerprint,
    )


async def _ask_until(account: Account, question: str, value: str, base: str, since: float) -> tuple[Answer, float]:
    while True:
        answer = await ask(account, Arm.BOTH, question, base)
        seconds = time.perf_counter() - since
        if states(answer.text, value) or seconds > _PATIENCE_SECONDS:
            return answer, seconds
