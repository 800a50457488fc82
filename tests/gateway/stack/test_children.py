from pathlib import Path

import pytest
from pydantic import SecretStr

from gateway.engines import Connections
from gateway.engines.hardware import Hardware
from gateway.engines.served_base_model import ServedBaseModel
from gateway.processes import Child
from gateway.settings import Settings
from gateway.stack.children import make_children, make_retriever
from tests.fakes.peft import write_base
from tests.fakes.retriever import FakeRetriever


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, model_python=Path("/opt/model/bin/python"), port=8123)


async def children(settings: Settings) -> dict[str, Child]:
    folder = settings.home / "base"
    if not folder.exists():
        write_base(folder)
    base = ServedBaseModel(name="base", path=str(folder), digest="sha256:base")
    async with Connections() as connections:
        return {child.name: child for child in make_children(settings, base, Hardware.detect(), connections)}


def arguments(child: Child) -> str:
    return " ".join(child._command.arguments)  # pyright: ignore[reportPrivateUsage]


async def test_an_engine_runs_here_unless_there_is_one_elsewhere(settings: Settings) -> None:
    here = await children(settings)
    assert list(here) == ["engine-8124", "worker", "gateway"]
    assert str(settings.home / "base") in arguments(here["engine-8124"])
    elsewhere = settings.model_copy(update={"engine_urls": ("http://engine:8000",)})
    assert list(await children(elsewhere)) == ["worker", "gateway"]


async def test_worker_and_gateway_run_in_this_environment(settings: Settings) -> None:
    here = await children(settings)
    assert arguments(here["worker"]).endswith("-m gateway.cli worker")
    assert arguments(here["gateway"]).endswith("-m gateway.cli serve")


def test_the_retriever_gets_the_settings_that_are_its_own(settings: Settings) -> None:
    plain = arguments(make_retriever(settings))
    assert plain.startswith("/opt/model/bin/python -m retrieval")
    assert "--embedder" not in plain
    assert "--qdrant-url" not in plain
    chosen = settings.model_copy(update={"embedder": "BAAI/bge-small", "qdrant_url": "http://qdrant:6333"})
    assert "--embedder BAAI/bge-small" in arguments(make_retriever(chosen))
    assert "--qdrant-url http://qdrant:6333" in arguments(make_retriever(chosen))


async def test_only_the_retriever_gets_the_key_of_a_qdrant_server(settings: Settings) -> None:
    chosen = settings.model_copy(
        update={
            "qdrant_url": "https://qdrant:6333",
            "qdrant_api_key": SecretStr("secret-of-qdrant"),
            "qdrant_ca_file": "/etc/qdrant.pem",
        }
    )
    retriever = make_retriever(chosen)
    assert "--qdrant-ca-file /etc/qdrant.pem" in arguments(retriever)
    assert "secret-of-qdrant" not in arguments(retriever)
    environment = retriever._command.environment  # pyright: ignore[reportPrivateUsage]
    assert environment is not None
    assert environment["QDRANT_API_KEY"] == "secret-of-qdrant"
    chosen = chosen.model_copy(
        update={"reranker": "https://rerank/v1", "reranker_api_key": SecretStr("secret-of-rerank")}
    )
    retriever = make_retriever(chosen)
    assert "--reranker https://rerank/v1" in arguments(retriever)
    assert "secret-of-rerank" not in arguments(retriever)
    assert (retriever._command.environment or {})["RERANKER_API_KEY"] == "secret-of-rerank"  # pyright: ignore[reportPrivateUsage]
    for child in (await children(chosen)).values():
        others = child._command.environment or {}  # pyright: ignore[reportPrivateUsage]
        assert not [name for name, value in others.items() if "secret-of" in value or name.endswith("API_KEY")]


async def test_a_retriever_is_ready_when_it_answers_on_its_socket(settings: Settings) -> None:
    ready = make_retriever(settings)._ready  # pyright: ignore[reportPrivateUsage]
    assert not await ready()
    async with FakeRetriever(settings.retriever_socket):
        assert await ready()


async def test_a_worker_is_ready_at_once_and_a_gateway_when_it_answers(settings: Settings) -> None:
    here = await children(settings)
    assert await here["worker"]._ready()  # pyright: ignore[reportPrivateUsage]
    assert not await here["gateway"]._ready()  # pyright: ignore[reportPrivateUsage]
