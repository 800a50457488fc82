"""A process of a training in several: started by `training.launch`, which reads its lines and ends it."""

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from training.assignment import Assignment, TrainedAdapters, train_adapter
from training.errors import PeerLost
from training.events import Event, Paused
from training.out_of_memory import explain_out_of_memory
from training.output import do_nothing
from training.process_group import ProcessGroup
from training.run_rows import read_run_rows
from training.state import RunPaused, StateFile, StateKeeper
from training.tokenization import RowTokenizer

__all__ = ["MEMBER_ADVICE", "Membership", "TrainingEnd", "train_member"]

MEMBER_ADVICE = (
    "Ask for less in braid.recipe: micro_batch_tokens, or max_length, which leaves out the longest rows. The operator "
    "can train on fewer devices (BRAID_TRAINING_PROCESSES)."
)

_PR_SET_PDEATHSIG = 1


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """The standard input of a process.

    Attributes:
        rank: See `training.process_group.ProcessGroup`.
        rendezvous: The file by which the processes find each other.
        parent: The process that started it.
    """

    assignment: Assignment
    rank: int
    rendezvous: str
    parent: int


class TrainingEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag="trained"):
    """The last line of the leader: the adapter's files are written."""

    result: TrainedAdapters


def train_member(
    membership: Membership, send: Callable[[Event | TrainingEnd], None], wants_pause: Callable[[], bool]
) -> None:
    """Train as a member of a group. Only the leader sends anything, and writes files; it alone is told to pause.

    Raises:
        TrainingError: As a run alone.
        PeerLost: Another member is gone.
    """
    _end_with(membership.parent)
    assignment, rank = membership.assignment, membership.rank
    spec, device = assignment.spec, assignment.devices[rank]
    tell: Callable[[Event], None] = send if rank == 0 else _drop
    tokenizer = RowTokenizer.load(Path(spec.base_model), spec.chat_template_kwargs)
    rows = read_run_rows(spec, tokenizer, spec.recipe, _drop)  # whoever started this has told the notices
    keeper = None
    if assignment.state is not None:
        options = StateFile(Path(assignment.state), assignment.save_seconds, wants_pause)
        keeper = StateKeeper(options, assignment.fingerprint, tell, reads_only=rank != 0)
    group = ProcessGroup.join(rank, len(assignment.devices), device, Path(membership.rendezvous))
    try:
        with explain_out_of_memory(f"Training on {device}", MEMBER_ADVICE):
            result = train_adapter(assignment, rows, tell, keeper, group)
    except RunPaused as paused:
        tell(Paused(step=paused.step))
        return
    group.leave()
    if group.leads:
        send(TrainingEnd(result=result))


def _drop(_event: Event) -> None:
    do_nothing()


def _end_with(parent: int) -> None:
    """Have the kernel end this process with the one that started it, however that goes."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise PeerLost("The process that started this one is gone.")
