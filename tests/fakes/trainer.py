"""A trainer without torch: the command line and the events of `python -m training`, and faults on demand.

`write_trainer` makes an executable that stands in for the model environment's Python. The environment variable
`BRAID_TEST_TRAINER` says what it does: nothing for a good run, a word of `tests.fakes.peft.SPOILS` for weights that
must be refused, or one of:

    short        a step each 50 ms, for as long as the rows take
    slow         a step each 50 ms, for a long time
    deaf         the same, and SIGTERM is ignored
    crash        killed by a signal in mid-training
    bug          an unexpected error, with a trace on stderr
    abort        a crash of its own, with words on stderr
    status       an exit status without an event, with words on stderr
    failed       an event with a reason
    notices      warnings, one of which the job's owner has had already
    garbage      lines that are no events between those that are
    silent       exit status 0, and no adapter
    foreign_base weights of another base model, by the manifest's digest
    other_tokens a prompt with another token than the engine's
    other_rows   a manifest that names other rows than those of the spec
    epochs       checkpoints after the first and the second step
    bad_epochs   the same, and the first is of numbers that are none
    short_epochs as `short` and as `epochs`
    hasty        a good run whose states follow each other faster than anybody keeps them
    queued:FILE  a good run that begins when the file is there
    held:FILE    a good run that waits after its tenth step until the file is there
"""

import argparse
import json
import os
import signal
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.fakes import _tokens
from tests.fakes.peft import write_adapter
from training.cancellation import PauseWish
from training.checkpoint import digest_chat_template, digest_weights, read_chat_template
from training.control import ControlWatch
from training.errors import TrainingError
from training.events import (
    Checkpoint,
    EpochMetrics,
    Event,
    Failed,
    Finished,
    Notice,
    Paused,
    PromptSamples,
    Resumed,
    Saved,
    Started,
    Step,
    TokenizedPrompt,
)
from training.manifest import Manifest, Probe, Reference, digest_adapter
from training.progress import RunProgress
from training.rendered_rows import RenderedRows, RowsFile, read_rendered_preferences, read_rendered_rows
from training.spec import Recipe, TrainSpec, read_spec
from training.state_header import STATE_KEY, StateHeader, read_saved_step

ROOT = Path(__file__).parents[2]
PROBE_TOKENS = list(range(100, 116))
PROBE_START = 4
_EPOCH_ENDS = {"overfit": (1,), "epochs": (1, 2), "bad_epochs": (1, 2), "short_epochs": (1, 2)}
_SAVED = frozenset(2**power for power in range(1, 14))
_QUEUED, _HELD, _HELD_STEP = "queued:", "held:", 10
_ENDS = ("crash", "failed", "bug", "abort", "status")


def write_trainer(file: Path, mode: str | None = None) -> Path:
    """Make the executable; it is called as `FILE -m training …`. With a `mode` it heeds no environment variable."""
    fixed = "" if mode is None else f"import os\nos.environ['BRAID_TEST_TRAINER'] = {mode!r}\n"
    file.write_text(
        f"#!{sys.executable}\n{fixed}"
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.fakes.trainer import main\nsys.exit(main(sys.argv[3:]))\n"
    )
    file.chmod(0o755)
    return file


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=("run", "reference"))
    parser.add_argument("spec", type=Path, nargs="?")
    for option in ("--out", "--base", "--adapter"):
        parser.add_argument(option, type=Path)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--checkpoints", type=Path)
    parser.add_argument("--control", type=lambda file: ControlWatch(Path(file), look_seconds=0.05))
    for option in ("--device", "--wait-seconds", "--processes", "--engine-dtype"):
        parser.add_argument(option)
    options = parser.parse_args(arguments)
    mode = os.environ.get("BRAID_TEST_TRAINER", "")
    if options.control is not None:
        options.control.start()
    if options.command == "reference":
        return _write_reference(options.base, options.adapter, options.out)
    try:
        wants_pause = options.control or PauseWish()
        _await_file(mode, _QUEUED)
        return _train(read_spec(options.spec), options.out, options.state, options.checkpoints, mode, wants_pause)
    except TrainingError as error:
        _send(Failed(code=error.code, message=error.message, problems=error.problems))
        return 1


def _send(event: Event) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(event) + b"\n")
    sys.stdout.flush()


def _train(
    spec: TrainSpec, out: Path, state: Path, checkpoints: Path, mode: str, wants_pause: Callable[[], bool]
) -> int:
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    training_rows = _read_rows(spec, spec.rows, "invalid_training_file")
    count = len(training_rows.rows)
    _send(_tokenize(spec, training_rows, mode))
    steps = 10_000 if mode in ("slow", "deaf") else spec.recipe.count_steps(count)
    _send(Started(rows=count, dropped=[], steps=steps, tokens=1000, reply_tokens=200, device="cpu", dtype="float32"))
    for code in ("few_rows", "rows_dropped") if mode == "notices" else ():
        _send(Notice(code=code, message=f"The trainer says {code}."))
    done = _resume(spec, state, steps, mode)
    for step in range(done + 1, steps + 1):
        if mode in ("slow", "deaf", "short", "short_epochs"):
            time.sleep(0.05)
        if mode == "garbage":
            sys.stdout.write('a library says hello\n{"event":"unknown"}\n\xff\n')
        if step == 2 and mode in _ENDS:
            return _end(mode)
        _send(_make_step(step, steps, spec.recipe))
        if step in _EPOCH_ENDS.get(mode, ()):
            _send(_make_checkpoint(spec, step, valid_loss=0.5 if mode == "overfit" else None))
        if _save_or_pause(state, step, steps, often=mode == "hasty", wants_pause=wants_pause()):
            return 0
        _hold(mode, step)
    _send(_make_checkpoint(spec, steps))
    if mode != "silent":
        _finish(spec, training_rows, out, state, checkpoints, mode)
    return 0


def _finish(
    spec: TrainSpec, training_rows: RenderedRows[Any], out: Path, state: Path, checkpoints: Path, mode: str
) -> None:
    partial = out.with_name(f"{out.name}.partial")
    manifest = _write_folder(spec, training_rows, partial, mode)
    _write_checkpoints(spec, training_rows, checkpoints, mode)
    partial.rename(out)
    if mode == "hasty":
        state.unlink()  # as the real one does; the others leave it, for their last event is kept in time
    _send(Finished(manifest=manifest))


def _hold(mode: str, step: int) -> None:
    if step == _HELD_STEP:
        _await_file(mode, _HELD)


def _await_file(mode: str, prefix: str) -> None:
    while mode.startswith(prefix) and not Path(mode.removeprefix(prefix)).exists():
        time.sleep(0.05)


def _tokenize(spec: TrainSpec, rows: RenderedRows[Any], mode: str) -> PromptSamples:
    """Return the prompts of two rows as the fake engine would have them."""
    folds = bool(spec.chat_template_kwargs)  # so it is in the one test of a template
    prompts: list[TokenizedPrompt] = []
    for row in (rows.rows[0], rows.rows[-1]):
        turns = row.better.messages if spec.recipe.method == "dpo" else row.messages
        last = max(place for place, message in enumerate(turns) if message.is_target)
        messages = [{"role": turn.role, "content": turn.text} for turn in turns[:last]]
        tokens = _tokens.token_ids(_tokens.rendered(_fold(messages) if folds else messages))
        if mode == "other_tokens":
            tokens[4] = _tokens.token_id("|")
        prompts.append(TokenizedPrompt(row.number, tokens))
    return PromptSamples(prompts=prompts, chat_template_kwargs=spec.chat_template_kwargs or {})


def _fold(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """Put the system text before the first question: what `training.chat_format` does, without its template engine."""
    if messages[0]["role"] != "system":
        return messages
    system, question, *others = messages
    return [{**question, "content": f"{system['content']}\n\n{question['content']}"}, *others]


def _read_rows(spec: TrainSpec, file: RowsFile, code: str) -> RenderedRows[Any]:
    read = read_rendered_preferences if spec.recipe.method == "dpo" else read_rendered_rows
    return read(file, code=code)


def _save_or_pause(state: Path, step: int, steps: int, *, often: bool, wants_pause: bool) -> bool:
    """Save ever more rarely, at the last even step and before a pause, never the same bytes; tell whether to end.

    Each state costs the worker two commits, so that those of every second step would be most of a test's time.
    """
    is_due = often or step in _SAVED or step == steps - steps % 2
    if not is_due and not wants_pause:
        return False
    partial = state.with_name(f"{state.name}.partial")
    partial.write_bytes(write_state(step))
    partial.rename(state)
    _send(Saved(step=step, bytes=state.stat().st_size, seconds=0.0))
    if wants_pause:
        _send(Paused(step=step))
    return wants_pause


def write_state(step: int) -> bytes:
    """Return a state with a header and no tensors."""
    header = StateHeader(run="", nonce=os.urandom(8).hex(), progress=RunProgress(losses=[1.0] * step))
    text = json.dumps({"__metadata__": {STATE_KEY: msgspec.json.encode(header).decode()}}).encode()
    return len(text).to_bytes(8, "little") + text


def _resume(spec: TrainSpec, state: Path, steps: int, mode: str) -> int:
    """Return the step after which to go on, and say so."""
    if not state.exists():
        return 0
    done = read_saved_step(state)
    before = [_make_step(step, steps, spec.recipe) for step in range(1, done + 1)]
    losses = [step.loss for step in before]
    accuracies = [step.mean_token_accuracy or step.reward_accuracy or 0.0 for step in before]
    margins = [step.reward_margin for step in before if step.reward_margin is not None]
    epochs = [_make_checkpoint(spec, step).metrics for step in _EPOCH_ENDS.get(mode, ()) if step <= done]
    _send(Resumed(step=done, losses=losses, accuracies=accuracies, margins=margins, epochs=epochs))
    return done


def _end(mode: str) -> int:
    if mode == "crash":
        os.kill(os.getpid(), signal.SIGKILL)
    if mode == "failed":
        _send(Failed(code="loss_diverged", message="The loss is not a number. Use a smaller learning rate."))
        return 1
    sys.stderr.write("RuntimeError in /home/ann/braid/training/loop.py, line 7: no host 127.0.0.1:80 at 0x7f3a90ff\n")
    sys.stderr.flush()
    if mode == "abort":
        os.abort()
    if mode == "bug":
        _send(Failed(code="internal", message="An unexpected error: ValueError: /home/ann/rows.jsonl is odd."))
        return 1
    return 3


def _make_step(step: int, steps: int, recipe: Recipe) -> Step:
    prefers = recipe.method == "dpo"
    return Step(
        step=step,
        steps=steps,
        epoch=recipe.epochs * step / steps,
        loss=2.0 / step,
        mean_token_accuracy=None if prefers else 0.5,
        reward_accuracy=0.75 if prefers else None,
        reward_margin=0.25 if prefers else None,
        learning_rate=1e-3,
        tokens_per_second=100.0,
        seconds_left=float(steps - step),
        trained_tokens=100 * step,
    )


def _make_checkpoint(spec: TrainSpec, steps: int, valid_loss: float | None = None) -> Checkpoint:
    if spec.validation_rows and valid_loss is None:
        _read_rows(spec, spec.validation_rows, "invalid_validation_file")
        valid_loss = 1.5
    if spec.recipe.method == "dpo":
        metrics = EpochMetrics(
            step=steps,
            train_loss=0.5,
            train_reward_accuracy=0.75,
            train_reward_margin=0.25,
            valid_loss=valid_loss,
            valid_reward_accuracy=None if valid_loss is None else 0.8,
            valid_reward_margin=None if valid_loss is None else 0.2,
        )
        return Checkpoint(step=steps, epoch=spec.recipe.epochs, metrics=metrics)
    metrics = EpochMetrics(
        step=steps,
        train_loss=1.0,
        train_mean_token_accuracy=0.75,
        valid_loss=valid_loss,
        valid_mean_token_accuracy=None if valid_loss is None else 0.5,
    )
    return Checkpoint(step=steps, epoch=spec.recipe.epochs, metrics=metrics)


def _write_checkpoints(spec: TrainSpec, rows: RenderedRows[Any], folder: Path, mode: str) -> None:
    for step in _EPOCH_ENDS.get(mode, ()) if mode != "overfit" else ():
        _write_folder(spec, rows, folder / f"step-{step}", mode, step)


def _write_folder(
    spec: TrainSpec, rows: RenderedRows[Any], folder: Path, mode: str, step: int | None = None
) -> Manifest:
    base = Path(spec.base_model)
    seed = zlib.crc32(rows.digest.encode()) + spec.recipe.seed + (step or 0)
    spoil = "nan" if mode == "bad_epochs" and step == 1 else mode
    write_adapter(folder, base_name=spec.base_name or "", seed=seed, spoil=spoil)
    digest = digest_adapter(folder)
    manifest = Manifest(
        adapter_digest=digest,
        base_digest="sha256:" + "0" * 64 if mode in ("foreign_base", "base") else digest_weights(base),
        base_name=spec.base_name or "",
        chat_template_digest=digest_chat_template(read_chat_template(base)),
        chat_template_kwargs=spec.chat_template_kwargs or {},
        rank=spec.recipe.rank,
        recipe=spec.recipe,
        start_digest=digest_adapter(Path(spec.start)) if spec.start else None,
        rows=len(rows.rows),
        rows_digest="0" * 64 if mode == "other_rows" else rows.digest,
        validation_rows_digest=spec.validation_rows.digest if spec.validation_rows else None,
        trained_tokens=1234,
        losses=[2.0, 1.0] if step is None else [2.0] * step,
        best_step=1 if mode == "overfit" else step,
        probe=[_make_probe(digest)],
        versions={"torch": "none"},
        prompt=spec.prompt,
    )
    (folder / "manifest.json").write_bytes(msgspec.json.encode(manifest))
    return manifest


def _write_reference(base: Path, adapter: Path, out: Path) -> int:
    digest = digest_adapter(adapter)
    reference = Reference(
        adapter_digest=digest,
        base_digest=digest_weights(base),
        chat_template_digest=digest_chat_template(read_chat_template(base)),
        probe=[_make_probe(digest)],
    )
    out.write_bytes(msgspec.json.encode(reference))
    return 0


def _make_probe(digest: str) -> Probe:
    """Return the fake engine's log-probabilities for a folder of this name, and for its base model."""
    adapter, base = (_tokens.logprobs(weights, PROBE_TOKENS)[PROBE_START:] for weights in (digest, "base"))
    return Probe(tokens=PROBE_TOKENS, start=PROBE_START, logprobs=adapter, base_logprobs=base)


def rows(count: int, **braid: object) -> bytes:
    """Return training rows in OpenAI's format."""
    lines: list[str] = []
    for number in range(count):
        messages = [
            {"role": "user", "content": f"Where is order {number}?"},
            {"role": "assistant", "content": f"Ahoy! Order {number} be sailing to ye."},
        ]
        lines.append(json.dumps({"messages": messages, **({"braid": braid} if braid else {})}))
    return "\n".join(lines).encode()


def preferences(count: int, **braid: object) -> bytes:
    """Return preference rows in OpenAI's format."""
    lines: list[str] = []
    for number in range(count):
        row = {
            "input": {"messages": [{"role": "user", "content": f"Where is order {number}?"}]},
            "preferred_output": [{"role": "assistant", "content": f"Order {number} sails today."}],
            "non_preferred_output": [{"role": "assistant", "content": f"No idea about {number}."}],
        }
        lines.append(json.dumps({**row, **({"braid": braid} if braid else {})}))
    return "\n".join(lines).encode()
