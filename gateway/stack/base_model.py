"""The base model's checkpoint, made or fetched before anything starts."""

import asyncio
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

import prompts
from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.training_traits import read_training_traits
from gateway.processes import BASE_MODEL
from gateway.settings import Settings
from gateway.terminal import CommandError
from training.chat_format import needs_folding
from training.chat_template import ChatTemplate
from training.markers import read_markers
from training.verdict import BaseShape

__all__ = ["choose_public_name", "prepare_base_model"]

_PACKAGED = "smollm2-135m-instruct"
_PACKAGED_ALIASES = ("HuggingFaceTB/SmolLM2-135M-Instruct",)
_HEARTBEAT_SECONDS = 10.0


class _Checkpoint(msgspec.Struct):
    directory: str


class _Progress(msgspec.Struct):
    bytes: int
    total: int


class _Failure(msgspec.Struct):
    message: str


async def prepare_base_model(settings: Settings, dtype: str, tell: Callable[[str], None]) -> ServedBaseModel:
    """Make or find the checkpoint, and write down what it is where every process of this home looks.

    Args:
        settings: Say which model.
        dtype: `float32` or `bfloat16`: what the engine here computes in.
        tell: Takes lines about progress.

    Raises:
        CommandError: It can't be made; the message has the reason.
    """
    if not settings.model_python.exists():
        raise CommandError(
            f"There is no {settings.model_python}: engine, training and retriever run in that environment. "
            "Run: make env-model (or name its interpreter with BRAID_MODEL_PYTHON)"
        )
    name = choose_public_name(settings)
    folder = settings.home.resolve() / "models" / f"{re.sub(r'[^A-Za-z0-9._-]+', '--', name)}-{dtype}"
    directory = Path(await _make(settings, folder, dtype, tell))
    shape = await asyncio.to_thread(BaseShape.read, directory)
    traits = await asyncio.to_thread(read_training_traits, directory)
    aliases = (settings.base_model, str(directory)) if settings.base_model else (*_PACKAGED_ALIASES, str(directory))
    base = ServedBaseModel(
        name=name,
        path=str(directory),
        digest=shape.digest,
        names=aliases,
        chat_template_digest=shape.chat_template_digest,
        folds_system=await asyncio.to_thread(lambda: needs_folding(ChatTemplate.read(directory).render)),
        markers=await asyncio.to_thread(read_markers, directory, prompts.find_generic),
        training=msgspec.structs.replace(traits, variables=None),  # the day that some print is the job's
    )
    file = ServedBaseModel.locate_file(settings.home)
    partial = file.with_suffix(".partial")
    partial.write_bytes(msgspec.json.encode(base))
    partial.replace(file)
    tell(f"base model: {name}, {shape.parameters / 1e6:.0f}M parameters")
    return base


def choose_public_name(settings: Settings) -> str:
    """Return the name that clients see: the one that was chosen, else the model's own."""
    if settings.base_model_name:
        return settings.base_model_name
    if not settings.base_model:
        return _PACKAGED
    source = settings.base_model
    return Path(source).expanduser().resolve().name if source.startswith((".", "/", "~")) else source


async def _make(settings: Settings, folder: Path, dtype: str, tell: Callable[[str], None]) -> str:
    log = settings.home / "logs" / "base-model.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [str(settings.model_python), "-m", "training", "base-model", "--out", str(folder), "--dtype", dtype]
    if settings.base_model:
        command += ["--source", settings.base_model]
    if not folder.exists():
        tell(f"base model: preparing {settings.base_model or 'the packaged SmolLM2-135M-Instruct'}")
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *command, env=BASE_MODEL.take(os.environ), stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    assert process.stdout is not None
    start, lines = time.monotonic(), [b""]
    reading = asyncio.ensure_future(_read_lines(process.stdout, lines))
    try:
        while not (await asyncio.wait([reading], timeout=_HEARTBEAT_SECONDS))[0]:
            tell(f"base model: {_describe_progress(lines[-1])}{time.monotonic() - start:.0f} s")
        status = await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        await process.wait()
        raise
    return _directory(lines[-1], status, log)


async def _read_lines(stream: asyncio.StreamReader, lines: list[bytes]) -> None:
    """Keep the last line that isn't empty as the last of `lines`."""
    async for line in stream:
        if line.strip():
            lines[-1] = line


def _describe_progress(line: bytes) -> str:
    try:
        progress = msgspec.json.decode(line, type=_Progress)
    except msgspec.MsgspecError:
        return ""
    return f"{progress.bytes / 1e9:.2f} of {progress.total / 1e9:.2f} GB, "


def _directory(answer: bytes, status: int | None, log: Path) -> str:
    last = answer.strip().rpartition(b"\n")[2]
    try:
        if status == 0:
            return msgspec.json.decode(last, type=_Checkpoint).directory
        reason = msgspec.json.decode(last, type=_Failure).message
    except msgspec.MsgspecError:
        reason = f"The program that makes it ended with status {status}."
    raise CommandError(f"The base model can't be prepared: {reason} Its log: {log}")
