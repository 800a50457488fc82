"""The processes that train one adapter together: each has the whole model, and a share of every batch (data parallel).

A step's gradient is a sum over its rows, divided by the whole step's tokens. So it is the same sum whether one process
has all rows or several have some each; they only have to add up before the optimizer's step, which each then makes
alone, with equal numbers. Dong et al. 2020, "PyTorch Distributed", has what larger models do besides.
"""

import math
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, reduce  # pyright: ignore[reportUnknownVariableType]
from torch import Tensor, nn

from training.batches import deal_rows
from training.errors import PeerLost
from training.out_of_memory import is_out_of_memory
from training.progress import ReplyTally

__all__ = ["ProcessGroup"]

_LONGEST_WAIT = timedelta(minutes=30)
"""For another process, such as one that writes a large state to a slow disk; one that died is found at once."""


class _Row(Protocol):
    @property
    def width(self) -> int: ...


_Share = TypeVar("_Share", bound=_Row)


class ProcessGroup:
    """One process's place among those that train together; made without arguments it is alone.

    Args:
        rank: The place, from 0. The process with 0 leads: it alone writes files and tells events.
        size: The number of processes.
        device: This one's.
    """

    def __init__(self, rank: int = 0, size: int = 1, device: str = "cpu") -> None:
        self.rank = rank
        self.size = size
        self._device = device

    @classmethod
    def join(cls, rank: int, size: int, device: str, rendezvous: Path) -> "ProcessGroup":
        """Wait until all processes are there, and connect them: by NCCL on CUDA devices, else by gloo.

        accelerate chooses the backend and the device by the variables that `training.launch` sets.

        Args:
            rank: See there.
            size: See there.
            device: `cpu`, or `cuda:1`.
            rendezvous: A file that isn't there yet, by which they find each other: no port is opened for it.
        """
        cast("Any", PartialState)(
            cpu=device == "cpu", init_method=f"file://{rendezvous}", rank=rank, world_size=size, timeout=_LONGEST_WAIT
        )
        return cls(rank, size, device)

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, rows: Sequence[_Share]) -> list[_Share]:
        """Return the rows of this process; together all processes have each row once."""
        if self.size == 1:
            return list(rows)
        return [rows[index] for index in deal_rows([row.width for row in rows], self.size)[self.rank]]

    def add_up(self, tensor: Tensor) -> Tensor:
        """Return the sum of all processes' tensors, on the device that the tensor was on.

        Raises:
            PeerLost: Another process is gone.
        """
        if self.size == 1:
            return tensor
        try:
            return cast("Tensor", reduce(tensor.to(self._device), reduction="sum")).to(tensor.device)
        except RuntimeError as error:
            raise _tell_lost(error) from error

    def add_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give each parameter the sum of its gradients in all processes, by one exchange."""
        if self.size == 1:
            return
        # A process that has no row of a small batch has no gradients either.
        parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        total = self.add_up(torch.cat([part.flatten() for part in parts]))
        for parameter, part in zip(parameters, _split(total, parameters), strict=True):
            parameter.grad = part.view_as(parameter)

    def add_tallies(self, tally: ReplyTally) -> ReplyTally:
        """Return the sums over all processes."""
        if self.size == 1:
            return tally
        # In float64, which holds every count; a device that has none of it doesn't train.
        sums = torch.tensor([tally.loss, tally.correct, tally.replies, tally.margin], dtype=torch.float64)
        loss, correct, replies, margin = cast("list[float]", self.add_up(sums).tolist())
        return ReplyTally(loss, round(correct), round(replies), margin)

    def agree(self, wish: bool) -> bool:
        """Return in all processes whether any of them has a wish."""
        return wish if self.size == 1 else not math.isclose(float(self.add_up(torch.tensor(float(wish)))), 0.0)

    def align(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give the leader's weights to all: what follows is computed in each, and nobody compares it again."""
        if self.size == 1:
            return
        flat = torch.cat([parameter.detach().flatten() for parameter in parameters])
        try:
            broadcast(flat)
        except RuntimeError as error:
            raise _tell_lost(error) from error
        with torch.no_grad():
            for parameter, part in zip(parameters, _split(flat, parameters), strict=True):
                parameter.copy_(part.view_as(parameter))

    def leave(self) -> None:
        """Wait until all are done, and part."""
        if self.size == 1:
            return
        self.agree(False)
        cast("Any", PartialState)().destroy_process_group()


def _split(flat: Tensor, parameters: Sequence[nn.Parameter]) -> Sequence[Tensor]:
    return cast("Any", flat).split([parameter.numel() for parameter in parameters])


def _tell_lost(error: RuntimeError) -> BaseException:
    return error if is_out_of_memory(error) else PeerLost(str(error))
