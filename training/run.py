"""A training run, from its spec to a finished folder."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError

from training.batches import measure_load
from training.dataset import Problem, describe_problems
from training.errors import TrainingError
from training.events import Event, Finished, Notice, Paused, Started
from training.loop import LoopResult, Trainer
from training.manifest import MANIFEST_FILE, Manifest, digest_adapter
from training.memory_plan import GIB, Demand
from training.model import AdaptedModel
from training.model_size import read_model_size
from training.module_names import choose_modules
from training.out_of_memory import explain_out_of_memory
from training.output import atomic_folder, do_nothing
from training.probe import PROBE_ADVICE, compute_probes
from training.rendered_rows import read_rendered_rows
from training.room import Berth, find_room
from training.spec import COMFORTABLE_ROWS, MINIMUM_ROWS, Recipe, TrainSpec
from training.state import RunPaused, StateFile, StateKeeper, fingerprint_run
from training.tokenization import RowTokenizer, TokenizedRow
from training.verdict import BaseShape, judge

__all__ = ["run", "run_or_pause"]

_LISTED_ROWS = 5
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

    Raises:
        TrainingError: Nothing was made; `out` doesn't exist.
        RunPaused: The same, and the state is saved.
    """
    with atomic_folder(out, seal) as folder:
        manifest = _run(spec, folder, send, device, wait_seconds, state)
    if state is not None:
        state.file.unlink(missing_ok=True)
    send(Finished(manifest=manifest))


def run_or_pause(spec: TrainSpec, out: Path, send: Callable[[Event], None], *arguments: Any, **options: Any) -> None:
    """Do what `run` does, and report a pause as the last event too."""
    try:
        run(spec, out, send, *arguments, **options)
    except RunPaused as paused:
        send(Paused(step=paused.step))


def _run(
    spec: TrainSpec,
    out: Path,
    send: Callable[[Event], None],
    device: str,
    wait_seconds: float,
    state: StateFile | None,
) -> Manifest:
    base_model = Path(spec.base_model)
    base = BaseShape.read(base_model)
    recipe = spec.recipe.resolve(base.parameters)
    choose_modules(base_model, base, recipe.target_modules)  # what no engine would find is refused in seconds
    tokenizer = RowTokenizer.load(base_model, spec.chat_template_kwargs)
    training_rows = read_rendered_rows(spec.rows, code="invalid_training_file")
    rows, dropped = tokenizer.tokenize_rows(training_rows.rows, recipe.max_length)
    _check_size(rows, dropped, send)
    validation, validation_digest = _read_validation_rows(spec, tokenizer, recipe, send)
    base_name = spec.base_name or base_model.resolve().name
    demand = _measure_demand(base_model, base, recipe, rows, validation)
    berth = find_room(demand, send, device=device, wait_seconds=wait_seconds)
    recipe = msgspec.structs.replace(recipe, micro_batch_tokens=berth.plan.micro_batch_tokens)
    with explain_out_of_memory("Training", _advise(berth)):
        keeper = state and StateKeeper(
            state, _fingerprint(base, recipe, tokenizer, training_rows.digest, validation_digest), send
        )
        result = _train(base_model, recipe, berth, rows, dropped, validation, base_name, out, send, keeper)
    with explain_out_of_memory("The adapter was trained, and its proof", PROBE_ADVICE):
        probe = compute_probes(base_model, out, rows, base.parameters, device)
    manifest = Manifest(
        adapter_digest=digest_adapter(out),
        base_digest=base.digest,
        base_name=base_name,
        chat_template_digest=base.chat_template_digest,
        chat_template_kwargs=tokenizer.format.variables,
        rank=recipe.rank,
        recipe=recipe,
        rows=_count_rows(rows),
        rows_digest=training_rows.digest,
        validation_rows_digest=validation_digest,
        trained_tokens=result.tokens,
        losses=result.losses,
        best_step=result.best_step,
        probe=probe,
        versions={package: version(package) for package in _PACKAGES},
    )
    (out / MANIFEST_FILE).write_bytes(msgspec.json.encode(manifest))
    verdict = judge(out, base, max_rank=recipe.rank)
    if not verdict.ok:
        raise TrainingError("adapter_unusable", " ".join(reason.message for reason in verdict.reasons))
    return manifest


def _fingerprint(base: BaseShape, recipe: Recipe, tokenizer: RowTokenizer, rows: str, validation: str | None) -> str:
    """Return what tells runs apart; another worker may have less memory, and go on in smaller parts."""
    whole = msgspec.structs.replace(recipe, micro_batch_tokens=1)
    return fingerprint_run(base.digest, base.chat_template_digest, tokenizer.format.variables, whole, rows, validation)


def _measure_demand(
    base_model: Path, base: BaseShape, recipe: Recipe, rows: list[TokenizedRow], validation: list[TokenizedRow]
) -> Demand:
    lengths, validation_lengths = (
        [(len(row.tokens), sum(row.loss_mask)) for row in some] for some in (rows, validation)
    )
    size = read_model_size(base_model, base, recipe.target_modules)
    return Demand(size, recipe, partial(measure_load, lengths, validation_lengths, recipe.batch_size))


def _advise(berth: Berth) -> str:
    forecast, plan = berth.plan.forecast, berth.plan
    return (
        f"The forecast was {forecast.total / GIB:.1f} GiB ({forecast}), and {berth.room.free / GIB:.1f} GiB were free "
        f"on {berth.room.device}; another program may have taken them since. Ask for less in braid.recipe: "
        f"micro_batch_tokens under {plan.micro_batch_tokens}, or max_length, which leaves out the longest rows. "
        f"{PROBE_ADVICE}"
    )


def _read_validation_rows(
    spec: TrainSpec, tokenizer: RowTokenizer, recipe: Recipe, send: Callable[[Event], None]
) -> tuple[list[TokenizedRow], str | None]:
    if spec.validation_rows is None:
        return [], None
    validation_rows = read_rendered_rows(spec.validation_rows, code="invalid_validation_file")
    rows, dropped = tokenizer.tokenize_rows(validation_rows.rows, recipe.max_length)
    if dropped:
        message = f"Validation rows were left out. {describe_problems(dropped, _LISTED_ROWS)}"
        send(Notice(code="validation_rows_dropped", message=message))
    return rows, validation_rows.digest


def _train(
    base_model: Path,
    recipe: Recipe,
    berth: Berth,
    rows: list[TokenizedRow],
    dropped: list[Problem],
    validation: list[TokenizedRow],
    base_name: str,
    out: Path,
    send: Callable[[Event], None],
    keeper: StateKeeper | None,
) -> LoopResult:
    hardware, plan = berth.hardware, berth.plan
    model = AdaptedModel.create(
        base_model, recipe, hardware, base_name, gradient_checkpointing=plan.gradient_checkpointing
    )
    send(
        Started(
            rows=_count_rows(rows),
            dropped=dropped,
            steps=recipe.count_steps(len(rows)),
            tokens=sum(len(row.tokens) for row in rows),
            reply_tokens=sum(sum(row.loss_mask) for row in rows),
            device=hardware.device,
            dtype=hardware.dtype_name,
            micro_batch_tokens=plan.micro_batch_tokens,
            gradient_checkpointing=plan.gradient_checkpointing,
            memory_forecast=plan.forecast.total,
            memory_free=berth.room.free,
        )
    )
    result = Trainer(model, recipe, rows, validation, send, keeper).train()
    try:
        model.save(out)
    except (OSError, SafetensorError) as error:
        message = f"The adapter was trained and can't be written: {error}. Make room on that disk and start again."
        raise TrainingError("output_unwritable", message) from error
    return result


def _check_size(rows: list[TokenizedRow], dropped: list[Problem], send: Callable[[Event], None]) -> None:
    if dropped:
        send(Notice(code="rows_dropped", message=f"Rows were left out. {describe_problems(dropped, _LISTED_ROWS)}"))
    count = _count_rows(rows)
    if count < MINIMUM_ROWS:
        message = (
            f"There are {count} usable rows, and training takes at least {MINIMUM_ROWS}; from about "
            f"{COMFORTABLE_ROWS} on style is learnt reliably. Add rows, or put the style into the prompt instead."
        )
        raise TrainingError("too_few_rows", message, dropped)
    if count < COMFORTABLE_ROWS:
        message = (
            f"There are only {count} rows: they may be learnt by heart rather than by style. From about "
            f"{COMFORTABLE_ROWS} on results are reliable; compare with the style in the prompt before using it."
        )
        send(Notice(code="few_rows", message=message))


def _count_rows(rows: list[TokenizedRow]) -> int:
    return len({row.number for row in rows})
