"""Training with the real worker and a trainer without torch."""

import pytest

from gateway.demo.assistants import make_assistant
from gateway.demo.tenant_clients import TenantClient
from gateway.demo.training import TrainedAdapter, train
from gateway.progress import Progress
from gateway.terminal import CommandError
from tests.fakes.vllm import FakeVllm


async def start(account: TenantClient, base: str, rows: int, epochs: int = 1) -> TrainedAdapter:
    return await train(
        account,
        Progress(),
        prompt=(await make_assistant(account, "", base)).prompt,
        base=base,
        suffix="voice",
        rows=(0, rows),
        validation=(rows, rows + 10),
        epochs=epochs,
        batch_size=1,
    )


async def test_the_loss_of_every_step_is_kept_however_many_there_are(
    account: TenantClient, engine: FakeVllm, background_worker: None
) -> None:
    adapter = await start(account, engine.model, rows=120, epochs=2)
    steps = [point.step for point in adapter.training_losses]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > 100
    assert adapter.trained_tokens == 1234
    assert adapter.model.startswith("ft:base:kestrel:voice:")


async def test_a_job_that_fails_says_why(
    account: TenantClient, engine: FakeVllm, background_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRAID_TEST_TRAINER", "failed")
    with pytest.raises(CommandError, match="failed: The loss is not a number"):
        await start(account, engine.model, rows=12)
