"""A training run, from its spec to a finished folder."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from training.assignment import Assignment, EpochAdapter, TrainedAdapters, train_adapter
from training.batches import measure_load
from training.errors import TrainingError
from training.events import Event, Finished, Notice, Paused, PromptSamples
from training.hardware import check_reference_hardware
from training.launch import train_together
from training.manifest import CONFIG_FILE, MANIFEST_FILE, Manifest, digest_adapter
from training.memory_plan import GIB, Demand
from training.model_size import read_model_size
from training.module_names import choose_modules
from training.out_of_memory import explain_out_of_memory
from training.output import atomic_folder, do_nothing
from training.probe import PROBE_ADVICE, Prober
from training.quantization import check_quantization, describe_quantization
from training.room import Placement, find_room
from training.run_rows import RunRows, count_rows, read_run_rows, sample_prompts
from training.spec import Recipe, TrainSpec
from training.state import RunPaused, StateFile, StateKeeper, fingerprint_run, refuse_pause
from training.tokenization import RowTokenizer
from training.verdict import BaseShape, judge
from training.verdict.config import AdapterConfig

__all__ = ["run", "run_or_pause"]

_PACKAGES = ("torch", "transformers", "peft", "tokenizers", "safetensors")


def run(
    spec: TrainSpec,
    out: Path,
    send: Callable[[Event], None],
    seal: Callable[[], None] = do_nothing,
    *,
    device: str = "auto",
    wait_seconds: float = 0.0,
    state: StateFile | None = None,
    checkpoints: Path | None = None,
    processes: int | None = 1,
    engine_dtype: str | None = None,
) -> None:
    """Train an adapter, and report everything by events; in any thread.

    Args:
        spec: What to train, and on what.
        out: The adapter's folder, at which nothing is yet.
        send: Takes each event.
        seal: Called once when the adapter is complete, before it appears: from then on nothing may interrupt the run.
        device: Where to train: `auto` (the CUDA device with the most free memory, or else the processor), `cpu`,
            `cuda` or `cuda:1`.
        wait_seconds: The longest wait for memory that others have on the device.
        state: Where the state of an unfinished run is, and how often it is saved; None saves nothing, so that a run
            that ends early begins anew.
        checkpoints: A folder, at which nothing is yet, for adapters as they were at the ends of other epochs than the
            best one, each whole in `step-N`; None makes none. It is complete before `out` appears.
        processes: The most that train together, one per device; None for as many as there are devices with room.
        engine_dtype: What the engine computes in: the adapter has to stay finite in that, see `training.probe.Prober`.

    Raises:
        TrainingError: Nothing was made; `out` doesn't exist.
        RunPaused: The same, and the state is saved.
    """
    with atomic_folder(out, seal) as folder, _open_folder(checkpoints) as others:
        manifest = _run(spec, _Output(folder, others), send, device, wait_seconds, state, processes, engine_dtype)
    if state is not None:
        state.file.unlink(missing_ok=True)
    send(Finished(manifest=manifest))


def run_or_pause(spec: TrainSpec, out: Path, send: Callable[[Event], None], *arguments: Any, **options: Any) -> None:
    """Do what `run` does, and report a pause as the last event too."""
    try:
        run(spec, out, send, *arguments, **options)
    except RunPaused as paused:
        send(Paused(step=paused.step))


@dataclass(frozen=True, slots=True)
class _Output:
    """The folders that a run fills: the adapter's, and that of its checkpoints, if they are wanted."""

    adapter: Path
    checkpoints: Path | None


@contextmanager
def _open_folder(folder: Path | None) -> Generator[Path | None]:
    if folder is None:
        yield None
    else:
        with atomic_folder(folder) as staging:
            yield staging


def _run(
    spec: TrainSpec,
    output: _Output,
    send: Callable[[Event], None],
    device: str,
    wait_seconds: float,
    state: StateFile | None,
    processes: int | None,
    engine_dtype: str | None,
) -> Manifest:
    base_model = Path(spec.base_model)
    base = BaseShape.read(base_model)
    recipe, start_digest = _resolve_recipe(spec, base)
    _check_feasible(base_model, base, recipe, device)
    tokenizer = RowTokenizer.load(base_model, spec.chat_template_kwargs)
    rows = read_run_rows(spec, tokenizer, recipe, send)
    send(PromptSamples(prompts=sample_prompts(rows.learnt_rows), chat_template_kwargs=tokenizer.format.variables))
    demand = _measure_demand(base_model, base, recipe, rows)
    placement = find_room(demand, send, device=device, wait_seconds=wait_seconds, processes=processes)
    recipe = msgspec.structs.replace(recipe, micro_batch_tokens=placement.plan.micro_batch_tokens)
    base_name = spec.base_name or base_model.resolve().name
    spec = msgspec.structs.replace(spec, recipe=recipe, base_name=base_name)
    fingerprint = _fingerprint(base, recipe, tokenizer, rows, start_digest)
    assignment = _assign(spec, placement, output, state, fingerprint)
    with explain_out_of_memory("Training", _advise(placement)):
        result = _train(assignment, rows, send, state)
    with explain_out_of_memory("The adapter was trained, and its proof", PROBE_ADVICE):
        prober = Prober(base_model, output.adapter, rows.learnt_rows, tokenizer, base.parameters, device, engine_dtype)
        probe = prober.compute(output.adapter)
    manifest = Manifest(
        adapter_digest=digest_adapter(output.adapter),
        base_digest=base.digest,
        base_name=base_name,
        base_quantization=describe_quantization(assignment.dtype) if recipe.quantization is not None else None,
        chat_template_digest=base.chat_template_digest,
        chat_template_kwargs=tokenizer.format.variables,
        rank=recipe.rank,
        recipe=recipe,
        start_digest=start_digest,
        rows=count_rows(rows.rows),
        rows_digest=rows.digest,
        validation_rows_digest=rows.validation_digest,
        trained_tokens=result.tokens,
        losses=result.losses,
        best_step=result.best_step,
        probe=probe,
        prompt=spec.prompt,
        versions={package: version(package) for package in _list_packages(recipe)},
    )
    (output.adapter / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    _check_usable(output.adapter, base, recipe)
    for end in result.checkpoints:
        _complete_checkpoint(assignment.name_checkpoint(end.step), end, manifest, prober, send)
    return manifest


def _check_usable(adapter: Path, base: BaseShape, recipe: Recipe) -> None:
    verdict = judge(adapter, base, max_rank=recipe.rank)
    if not verdict.ok:
        raise TrainingError("adapter_unusable", " ".join(reason.message for reason in verdict.reasons))


def _assign(
    spec: TrainSpec, placement: Placement, output: _Output, state: StateFile | None, fingerprint: str
) -> Assignment:
    return Assignment(
        spec=spec,
        out=str(output.adapter),
        checkpoints=str(output.checkpoints) if output.checkpoints is not None else None,
        devices=placement.devices,
        dtype=placement.hardware.dtype_name,
        gradient_checkpointing=placement.plan.gradient_checkpointing,
        memory_forecast=placement.plan.forecast.total,
        memory_free=placement.room.free,
        fingerprint=fingerprint,
        state=str(state.file) if state is not None else None,
        save_seconds=state.seconds if state is not None else 0.0,
    )


def _complete_checkpoint(
    folder: Path, end: EpochAdapter, manifest: Manifest, prober: Prober, send: Callable[[Event], None]
) -> None:
    """Prove the weights of an earlier epoch and describe them; what can't be proven goes, and the run goes on."""
    try:
        with explain_out_of_memory("The proof of a checkpoint", PROBE_ADVICE):
            probe = prober.compute(folder)
    except TrainingError as error:
        shutil.rmtree(folder)
        message = f"The checkpoint of step {end.step} was left out. {error.message}"
        send(Notice(code="checkpoint_left_out", message=message))
        return
    changes = {"losses": manifest.losses[: end.step], "trained_tokens": end.tokens, "best_step": end.step}
    final_manifest = msgspec.structs.replace(manifest, adapter_digest=digest_adapter(folder), probe=probe, **changes)
    (folder / MANIFEST_FILE).write_bytes(msgspec.json.encode(final_manifest))


def _list_packages(recipe: Recipe) -> tuple[str, ...]:
    return _PACKAGES if recipe.quantization is None else (*_PACKAGES, "bitsandbytes")


def _resolve_recipe(spec: TrainSpec, base: BaseShape) -> tuple[Recipe, str | None]:
    """Return the recipe for this base, and the digest of the adapter that the run starts from, if there is one."""
    recipe = spec.recipe.resolve(base.parameters)
    if spec.start is None:
        return recipe, None
    start = Path(spec.start)
    return _adopt_start(recipe, start, base), digest_adapter(start)


def _check_feasible(base_model: Path, base: BaseShape, recipe: Recipe, device: str) -> None:
    """Refuse in seconds what would fail after hours: modules that no engine would find, hardware that can't."""
    choose_modules(base_model, base, recipe.target_modules)
    check_reference_hardware(base.parameters, device)
    if recipe.quantization is not None:
        check_quantization(device)


def _adopt_start(recipe: Recipe, start: Path, base: BaseShape) -> Recipe:
    """Return the recipe with the rank, the scale and the targets of the adapter that a run starts from.

    Raises:
        TrainingError: `start_unusable`: its folder isn't an adapter for this base, or of another rank than the recipe.
    """
    verdict = judge(start, base, max_rank=recipe.rank)
    if not verdict.ok:
        reasons = " ".join(reason.message for reason in verdict.reasons)
        raise TrainingError("start_unusable", f"The adapter to start from can't be trained on. {reasons}")
    config = msgspec.json.decode((start / CONFIG_FILE).read_bytes(), type=AdapterConfig)
    if config.r != recipe.rank:
        message = f"The adapter to start from has the rank {config.r}, and the recipe {recipe.rank}. Give it the same."
        raise TrainingError("start_unusable", message)
    targets = config.target_modules
    if config.exclude_modules or not isinstance(targets, list):  # nobody evaluates a pattern
        targets = "all-linear" if targets == "all-linear" and not config.exclude_modules else verdict.modules
    # One scale, however its config writes it.
    return msgspec.structs.replace(recipe, alpha=config.scale * config.r, target_modules=targets)


def _fingerprint(base: BaseShape, recipe: Recipe, tokenizer: RowTokenizer, rows: RunRows, start: str | None) -> str:
    """Return what tells runs apart; another worker may have less memory, and go on in smaller parts."""
    whole = msgspec.structs.replace(recipe, micro_batch_tokens=1)
    digests = (rows.digest, rows.validation_digest, start)
    return fingerprint_run(base.digest, base.chat_template_digest, tokenizer.format.variables, whole, *digests)


def _measure_demand(base_model: Path, base: BaseShape, recipe: Recipe, rows: RunRows) -> Demand:
    widths, validation_widths = ([(row.width, row.replies) for row in some] for some in (rows.rows, rows.validation))
    size = read_model_size(base_model, base, recipe.target_modules)
    load = partial(measure_load, widths, validation_widths, recipe.batch_size)
    return Demand(size, recipe, load, sequences=2 if recipe.method == "dpo" else 1)


def _advise(placement: Placement) -> str:
    forecast, plan, room = placement.plan.forecast, placement.plan, placement.room
    return (
        f"The forecast was {forecast.total / GIB:.1f} GiB ({forecast}), and {room.free / GIB:.1f} GiB were free "
        f"on {room.device}; another program may have taken them since. Ask for less in braid.recipe: "
        f"micro_batch_tokens under {plan.micro_batch_tokens}, or max_length, which leaves out the longest rows. "
        f"{PROBE_ADVICE}"
    )


def _train(
    assignment: Assignment, rows: RunRows, send: Callable[[Event], None], state: StateFile | None
) -> TrainedAdapters:
    if len(assignment.devices) > 1:
        return train_together(assignment, send, state.wants_pause if state is not None else refuse_pause)
    keeper = StateKeeper(state, assignment.fingerprint, send) if state is not None else None
    return train_adapter(assignment, rows, send, keeper)
