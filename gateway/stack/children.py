"""The processes that `braid up` supervises, the environment they get, and how each tells that it is ready."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from gateway.engine_options import EngineOptions
from gateway.engines import Connections, EngineError
from gateway.engines.hardware import Hardware
from gateway.engines.local import LocalEngine
from gateway.engines.served_base_model import ServedBaseModel
from gateway.processes import GATEWAY, RETRIEVER, WORKER, Child, Command, Inheritance
from gateway.settings import Settings
from retrieval.client import Retriever, RetrieverError

__all__ = ["make_child_environment", "make_children", "make_retriever"]

_RETRIEVER_SECONDS = 300.0  # loading torch and the embedder, on a machine that loads the engine meanwhile
_WORKER_GRACE = 15.0
_CLOSING_SECONDS = 15.0
_POLL_SECONDS = 5.0
_SECRETS = {
    "admin_key",
    "qdrant_api_key",
    "ray_token",
    "reranker_api_key",
}  # only 'braid up' needs the first, the worker Ray's, the retriever the others


def make_children(
    settings: Settings, base: ServedBaseModel, hardware: Hardware, connections: Connections
) -> list[Child]:
    """Return the processes beside the retriever in the order in which they are started; they are stopped in reverse."""
    children: list[Child] = []
    if not settings.engine_urls:
        engine = LocalEngine(
            python=settings.model_python,
            model=Path(base.path),
            served_name=base.name,
            port=settings.port + 1,
            max_lora_rank=settings.max_lora_rank,
            gpu_share=settings.engine_gpu_share,
            options=EngineOptions.parse(settings.engine_options),
        )
        children.append(engine.make_child(hardware, connections, _folder(settings), os.environ))
    return [*children, _worker(settings), _gateway(settings, connections)]


def make_child_environment(
    settings: Settings, inheritance: Inheritance, inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return a child's environment: its part of this one's, with every setting as a `BRAID_…` variable.

    So flags, files and defaults come out the same in the child.
    """
    environment = inheritance.take(os.environ if inherited is None else inherited)
    environment["BRAID_CONFIG"] = os.devnull  # the file has been read already
    absolute = settings.model_copy(update={"home": settings.home.resolve()})
    for name in Settings.model_fields:
        value = getattr(absolute, name)
        if name in _SECRETS or value in (None, "", ()):
            continue
        text = ",".join(map(str, cast("tuple[object, ...]", value))) if isinstance(value, tuple) else str(value)
        environment[f"BRAID_{name.upper()}"] = text
    return environment


def make_retriever(settings: Settings, *, second: bool = False) -> Child:
    """Return the retriever's process, which needs no base model; a `second` one stands beside it."""
    home = settings.home.resolve()
    socket = settings.second_retriever_socket if second else settings.retriever_socket
    arguments = [
        *(str(settings.model_python), "-m", "retrieval"),
        *("--socket", str(socket), "--data", str(home / "index")),
        *(("--embedder", settings.embedder) if settings.embedder else ()),
        *(("--reranker", settings.reranker) if settings.reranker else ()),
        *(("--reranker-model", settings.reranker_model) if settings.reranker_model else ()),
        *(("--qdrant-url", settings.qdrant_url) if settings.qdrant_url else ()),
        *(("--qdrant-ca-file", settings.qdrant_ca_file) if settings.qdrant_ca_file else ()),
    ]

    async def ready() -> bool:
        try:
            async with Retriever(socket) as retriever:
                await retriever.describe()
        except RetrieverError:
            return False
        return True

    environment = RETRIEVER.take(os.environ)  # its settings are arguments
    if settings.qdrant_api_key is not None:
        environment["QDRANT_API_KEY"] = settings.qdrant_api_key.get_secret_value()
    if settings.reranker_api_key is not None:
        environment["RERANKER_API_KEY"] = settings.reranker_api_key.get_secret_value()
    command = Command(arguments, environment)
    name = "second-retriever" if second else "retriever"
    return Child(name, command, _folder(settings), ready, start_timeout=_RETRIEVER_SECONDS)


def _worker(settings: Settings) -> Child:
    async def ready() -> bool:
        return True  # a worker listens on no port: what it can't do, it writes to its log and to the jobs

    tokens = tuple(place.rpartition("=")[2] for place in settings.source_repositories)
    environment = make_child_environment(settings, WORKER | Inheritance((), tokens))
    if settings.ray_token is not None:
        environment["BRAID_RAY_TOKEN"] = settings.ray_token.get_secret_value()
    command = Command([sys.executable, "-m", "gateway.cli", "worker"], environment)
    return Child("worker", command, _folder(settings), ready, grace=_WORKER_GRACE)


def _gateway(settings: Settings, connections: Connections) -> Child:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    origin = connections.make_origin(f"http://{host}:{settings.port}")

    async def ready() -> bool:
        try:
            answer = await origin.request(
                "GET", "/healthz", connect=_POLL_SECONDS, first_byte=_POLL_SECONDS, gap=_POLL_SECONDS
            )
        except EngineError:
            return False
        await answer.aclose()
        return answer.status == 200

    command = Command([sys.executable, "-m", "gateway.cli", "serve"], make_child_environment(settings, GATEWAY))
    grace = settings.grace_seconds + _CLOSING_SECONDS
    return Child("gateway", command, _folder(settings), ready, grace=grace)


def _folder(settings: Settings) -> Path:
    return settings.home.resolve() / "logs"
