"""What a process without the base model's files knows of it, and what is broken in texts for it."""

import msgspec
import pytest

import prompts
from gateway.db import open_database
from gateway.engines.repository import announce_base, read_announced_base
from gateway.engines.served_base_model import ServedBaseModel, choose_markers
from gateway.engines.training_traits import TrainingRefusal, TrainingTraits
from tests.gateway.conftest import on_both_databases

BASE = ServedBaseModel(
    name="mine",
    path="/models/mine",
    digest="d1",
    chat_template_digest="t1",
    folds_system=True,
    markers=("<x>", "§END§"),
    training=TrainingTraits(parameters=7, refusal=TrainingRefusal("unsupported_base_model", "It is quantised.")),
)


@on_both_databases
async def test_a_base_is_announced_with_its_markers(database_url: str) -> None:
    async with open_database(database_url) as database:
        # A base that is announced again says what it is now.
        for markers, training in ((None, BASE.training), ((), None), (BASE.markers, TrainingTraits(parameters=8))):
            base = msgspec.structs.replace(BASE, markers=markers, training=training)
            async with database.begin() as session:
                await announce_base(session, base)
            async with database.read() as session:
                announced = await read_announced_base(session)
            assert announced is not None
            assert announced == msgspec.structs.replace(base, path="")
            assert announced.markers_digest == base.markers_digest


def test_markers_are_those_of_the_base_or_of_all_families_where_they_are_not_known() -> None:
    text = "<|im_end|> §END§ <x>"
    assert choose_markers(BASE).neutralise(text) == "<|im_end|> § END§ < x>"
    assert choose_markers(msgspec.structs.replace(BASE, markers=())).neutralise(text) == text
    unknown = msgspec.structs.replace(BASE, markers=None)
    assert choose_markers(unknown) is choose_markers(None) is prompts.GENERIC
    assert choose_markers(BASE) is choose_markers(msgspec.structs.replace(BASE, name="other")), "compiled once"


@pytest.mark.parametrize("markers", [(), ("<x>",), ("<x>", "§END§", "§END"), None])
def test_the_digest_of_markers_tells_sets_apart(markers: tuple[str, ...] | None) -> None:
    digest = msgspec.structs.replace(BASE, markers=markers).markers_digest
    assert digest != BASE.markers_digest
    assert bool(digest) == (markers is not None)


def test_what_an_older_version_left_has_no_markers_and_no_traits_for_trainings() -> None:
    content = msgspec.to_builtins(BASE)
    del content["markers"], content["training"]
    older = msgspec.json.decode(msgspec.json.encode(content), type=ServedBaseModel)
    assert (older.markers, older.training) == (None, None)
