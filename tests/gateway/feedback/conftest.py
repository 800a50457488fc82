import pytest

from tests.fakes.passages import FakePassages
from tests.fakes.vllm import FakeVllm
from tests.gateway.conftest import Gateway
from tests.gateway.tuning import settings
from tests.gateway.voting import Voting, reply

__all__ = ["settings"]


@pytest.fixture
async def voting(gateway: Gateway, engine: FakeVllm, passages: FakePassages) -> Voting:
    engine.reply = reply
    made = Voting(gateway, await gateway.tenant("kestrel"))
    await made.release()
    return made
