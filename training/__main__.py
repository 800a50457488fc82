"""`python -m training run | base-model | reference`, and `member` for what `run` starts itself."""

import argparse
import gc
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import msgspec

from training.cancellation import Cancelled, PauseWish, cancel_on_signals
from training.control import ControlWatch
from training.errors import PeerLost, TrainingError
from training.events import Failed
from training.output import JsonLines, tell
from training.spec import read_spec

__all__ = ["main"]

_CONTROL_HELP = "file by which a caller on another machine pauses and ends this, see training.control"
_LOST_STATUS = 3
_NICE = 10
_SESSION_NICE = 5
"""Has a third of the share of a session with work all the time; at 10 it is a ninth, by which nothing ends."""
_DEVICE_HELP = "auto (the CUDA device with the most free memory, else the processor), cpu, cuda or cuda:N"
_ENGINE_DTYPE_HELP = "what the engine computes in, such as float16, where it isn't the base's own type"
_PROCESSES_HELP = "the most processes that train together, one per device that has room; auto: all such devices"


def main() -> int:
    """Run one command and return its exit status.

    0 is done (or paused, as the last line says), 1 failed (the last line has the reason), 2 not understood.
    """
    arguments = _build_parser().parse_args()
    with JsonLines() as lines:
        return _run_command(arguments, lines)


def _run_command(arguments: argparse.Namespace, lines: JsonLines) -> int:
    try:
        with cancel_on_signals() as seal:
            if arguments.control is not None:
                arguments.control.start()
            arguments.command(arguments, lines, seal)
    except TrainingError as error:
        return _fail(lines, Failed(code=error.code, message=error.message, problems=error.problems))
    except Cancelled:
        return _fail(lines, Failed(code="cancelled", message="The run was cancelled by a signal, and made nothing."))
    except PeerLost as error:
        tell(str(error))
        return _LOST_STATUS
    except BrokenPipeError:
        tell("Nobody reads the events any more, so the run has ended.")
        return 1
    except Exception as error:
        traceback.print_exc()
        message = f"An unexpected error: {type(error).__name__}: {error}. The trace is on standard error; report it."
        return _fail(lines, Failed(code="internal", message=message))
    return 0


def _run(arguments: argparse.Namespace, lines: JsonLines, seal: Callable[[], None]) -> None:
    has_signal, control = PauseWish(), arguments.control

    def wants_pause() -> bool:
        return has_signal() or (control is not None and control())

    _give_way()
    spec = read_spec(arguments.spec)
    options = {
        name: getattr(arguments, name)
        for name in ("device", "wait_seconds", "processes", "checkpoints", "engine_dtype")
    }
    if spec.recipe.quantization is None:
        _leave_out("bitsandbytes")
    if arguments.state is not None:
        state_file = _load("training.state", "StateFile")
        options["state"] = state_file(arguments.state, arguments.save_seconds, wants_pause)
    _load("training.run", "run_or_pause")(spec, arguments.out, lines.send, seal, **options)


def _train_member(_arguments: argparse.Namespace, lines: JsonLines, _seal: Callable[[], None]) -> None:
    wants_pause = PauseWish()
    membership = msgspec.json.decode(sys.stdin.buffer.read(), type=_load("training.member", "Membership"))
    _load("training.member", "train_member")(membership, lines.send, wants_pause)


def _provide_base_checkpoint(arguments: argparse.Namespace, lines: JsonLines, seal: Callable[[], None]) -> None:
    _leave_out("bitsandbytes")
    provide = _load("training.base_checkpoint", "provide_base_checkpoint")
    lines.send(provide(arguments.out, arguments.source, arguments.dtype, tell, seal, lines.send))


def _write_reference(arguments: argparse.Namespace, _lines: JsonLines, _seal: Callable[[], None]) -> None:
    _give_way()
    _leave_out("bitsandbytes")
    write = _load("training.probe", "write_reference")
    options = {"device": arguments.device, "engine_dtype": arguments.engine_dtype}
    write(arguments.base, arguments.adapter, arguments.out, **options)


def _give_way() -> None:
    """Let answers and documents go first: what they leave idle is enough.

    Linux may share the processor out among sessions, each of which then shares out its own: there a process that is
    alone in its session, as a worker starts it, is nice to nobody unless its session is.
    """
    os.nice(_NICE)
    if os.getsid(0) == os.getpid():  # else the session is others', too
        with suppress(OSError):  # there are no such shares
            Path("/proc/self/autogroup").write_text(str(_SESSION_NICE))


def _load(module: str, function: str) -> Callable[..., Any]:
    """Import what needs torch: that takes seconds, in which a bad spec is refused and a signal is heard already."""
    # Threads that wait for each other by spinning lose their turn to whatever else runs, and everybody waits longer:
    # beside a busy engine on two cores a step took 17 to 21 s of processor time, and 5 s when they sleep instead.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Nothing here is ever fetched unless a download was asked for, and nobody is told that it runs.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # It warns that it fetches no faster kernels.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    # transformers imports them where they are, for ways to generate and for losses that nothing here uses.
    _leave_out("scipy", "sklearn")
    # Nothing of what is imported is garbage, to look for some takes a second, and no collection has to walk it later.
    gc.disable()
    try:
        return getattr(importlib.import_module(module), function)
    finally:
        gc.freeze()
        gc.enable()


def _leave_out(*packages: str) -> None:
    """Let packages look as if they weren't installed: PEFT and transformers import at once all that they could use.

    Without these a training starts in 3.4 s of processor time instead of 5.7, and holds 118 MB less.
    """
    for package in packages:
        if package not in sys.modules:
            sys.modules[package] = cast("Any", None)


def _fail(lines: JsonLines, failed: Failed) -> int:
    tell(failed.message)
    try:
        lines.send(failed)
    except BrokenPipeError:
        tell("Nobody reads the events any more.")
    return 2 if failed.code == "invalid_spec" else 1


def _read_count(text: str) -> int | None:
    if text == "auto":
        return None
    if (count := int(text)) < 1:
        raise ValueError(text)
    return count


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train LoRA adapters.")
    parser.set_defaults(control=None)
    commands = parser.add_subparsers(required=True)
    run = commands.add_parser("run", help="train an adapter; events as JSON lines on standard output")
    run.add_argument("spec", type=Path, help="JSON, see training.spec.TrainSpec")
    run.add_argument("--out", type=Path, required=True, help="folder that appears when the adapter is complete")
    run.add_argument("--checkpoints", type=Path, help="folder for the adapters of other epochs than the best one")
    run.add_argument("--device", default="auto", help=_DEVICE_HELP)
    run.add_argument("--engine-dtype", help=_ENGINE_DTYPE_HELP)
    run.add_argument("--wait-seconds", type=float, default=0.0, help="how long to wait for memory on the device")
    run.add_argument("--processes", type=_read_count, default=1, help=_PROCESSES_HELP)
    run.add_argument("--state", type=Path, help="file of the run's state: read where it is there, replaced as it goes")
    run.add_argument("--save-seconds", type=float, default=60.0, help="the longest time between two saves of it")
    run.add_argument("--control", type=_make_watch, help=_CONTROL_HELP)
    run.set_defaults(command=_run)
    member = commands.add_parser("member", help="a process that `run` starts where there are several devices")
    member.set_defaults(command=_train_member)
    base = commands.add_parser("base-model", help="provide a servable checkpoint")
    base.add_argument("--out", type=Path, required=True, help="its folder; kept when it is there already")
    base.add_argument("--source", help="a local folder or a Hugging Face id; else the packaged SmolLM2-135M-Instruct")
    base.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of the packaged model")
    base.set_defaults(command=_provide_base_checkpoint)
    reference = commands.add_parser("reference", help="write probe references for an adapter trained elsewhere")
    reference.add_argument("--base", type=Path, required=True, help="the checkpoint folder")
    reference.add_argument("--adapter", type=Path, required=True, help="the PEFT folder, judged already")
    reference.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    reference.add_argument("--device", default="auto", help=_DEVICE_HELP)
    reference.add_argument("--engine-dtype", help=_ENGINE_DTYPE_HELP)
    reference.add_argument("--control", type=_make_watch, help=_CONTROL_HELP)
    reference.set_defaults(command=_write_reference)
    return parser


def _make_watch(file: str) -> ControlWatch:
    return ControlWatch(Path(file))


if __name__ == "__main__":
    sys.exit(main())
