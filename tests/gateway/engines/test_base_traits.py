"""What a gateway knows of a base model that only an engine at a URL knows."""

from collections.abc import AsyncIterator

import pytest

import prompts
from gateway.engines import Connections, Engine, EnginePool, Timeouts
from gateway.engines.base_traits import BaseTraits
from gateway.engines.served_base_model import ServedBaseModel
from tests.fakes import faults
from tests.fakes.vllm import TOKENIZE, FakeVllm
from tests.training import chat_templates as templates
from tests.waiting import until

TIMES = Timeouts(connect=5, first_byte=5, gap=5, control=5, load=5)
DETOKENIZE = "/detokenize"


@pytest.fixture
async def fake() -> AsyncIterator[FakeVllm]:
    async with FakeVllm() as started:
        yield started


@pytest.fixture
async def pool(fake: FakeVllm, connections: Connections) -> AsyncIterator[EnginePool]:
    async with EnginePool([Engine(fake.url, connections, TIMES)], interval=0.05) as started:
        await until(lambda: started.replicas[0].ready)
        yield started


@pytest.mark.parametrize(
    ("template", "folds"),
    [
        (templates.NO_SYSTEM, True),
        (templates.SILENT_ON_SYSTEM, True),
        (templates.LAST_USER_SYSTEM, True),
        (templates.DEFAULT_SYSTEM, False),
    ],
)
async def test_an_engine_tells_whether_the_system_text_has_a_place_of_its_own(
    pool: EnginePool, fake: FakeVllm, template: str, folds: bool
) -> None:
    fake.render_by(template)
    traits = BaseTraits(pool, None)
    await traits.settle()
    assert traits.folds_system is folds
    calls = len(fake.requests(TOKENIZE))
    await traits.settle()
    assert len(fake.requests(TOKENIZE)) == calls


async def test_the_tokens_that_mark_turns_are_broken_beside_those_of_all_families(
    pool: EnginePool, fake: FakeVllm
) -> None:
    fake.render_by(templates.PLAIN.replace("<|im_start|>", "«turn»"))
    traits = BaseTraits(pool, None)
    assert traits.markers is prompts.GENERIC
    await traits.settle()
    assert traits.markers.neutralise("«turn» [INST] <|im_end|> <b>") == "« turn» [ INST] < |im_end|> <b>"


async def test_what_an_engine_does_not_tell_stays_that_of_an_unknown_base(pool: EnginePool, fake: FakeVllm) -> None:
    fake.render_by(templates.NO_SYSTEM)
    fake.script(faults.status(404), path=DETOKENIZE)
    traits = BaseTraits(pool, None)
    await traits.settle()
    await traits.settle()
    assert not traits.folds_system
    assert traits.markers is prompts.GENERIC
    assert len(fake.requests(DETOKENIZE)) == 1


async def test_an_engine_that_is_away_is_asked_when_it_is_back(pool: EnginePool, fake: FakeVllm) -> None:
    fake.render_by(templates.NO_SYSTEM)
    traits = BaseTraits(pool, None)
    await fake.stop()
    await traits.settle()
    assert not traits.folds_system
    await fake.start()
    await until(lambda: pool.replicas[0].ready)
    await traits.settle()
    assert traits.folds_system


async def test_nobody_is_asked_about_a_base_whose_files_are_known(pool: EnginePool, fake: FakeVllm) -> None:
    traits = BaseTraits(pool, ServedBaseModel("base", "", "0" * 64, folds_system=True, markers=("<x>",)))
    await traits.settle()
    assert traits.folds_system
    assert traits.markers.neutralise("<x> [INST]") == "< x> [INST]"
    assert fake.requests(TOKENIZE) == []
