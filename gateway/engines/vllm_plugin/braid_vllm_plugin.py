"""Replaces vLLM's LoRA arithmetic on the CPU. vLLM finds it by its entry point when this folder is on PYTHONPATH.

vLLM 0.32 looks up a copy of its adapter's matrices for each token. That is wrong for tokens without an adapter: their
index is -1, so they get the matrices in the last slot, and a request to the base model that shares a batch with
another tenant's adapter may be answered by that one (vllm-project/vllm#48421, open). It ends the engine when a request
for its prompt's log-probabilities, which is how adapters are proven, shares a batch with any other request. And it is
slow: 17 ms where one product per adapter takes 0.6 (231 tokens, 576 to 1536, rank 16, one core). While answers are
written there is a row or two per request, and a layer's time is the number of operations: so which rows are whose is
worked out once per step, and a layer of an adapter takes two products.
"""

# pyright: basic, reportMissingImports=false
# This runs in the engine's environment; the gateway's has neither torch nor vLLM.

import importlib
import inspect
import multiprocessing
import os
from itertools import groupby

import torch

__all__ = ["register"]

_WRAPPER = "vllm.lora.punica_wrapper.punica_cpu"
_BINDINGS = {"GOMP_CPU_AFFINITY", "KMP_AFFINITY", "OMP_PLACES"}
_FOR_ALL_THREADS = 1 << 22  # numbers, of which each thread gets some
_FEW_ROWS = 32  # up to here products in bfloat16 take twice as long as in float32: their operands are rearranged first


def register() -> None:
    """Put our functions where vLLM's CPU wrapper looks its own up.

    Raises:
        RuntimeError: this vLLM's functions take other parameters than those of the version this was written for.
    """
    wrapper = importlib.import_module(_WRAPPER)
    for ours in (bgmv_shrink, bgmv_expand, bgmv_expand_slice, sgmv_shrink, sgmv_expand, sgmv_expand_slice):
        _replace(wrapper, ours)
    wrapper.PunicaWrapperCPU.braid_spans = []  # until the first step
    update = wrapper.PunicaWrapperCPU.update_metadata

    def update_metadata(self, mapping, lora_index_to_id, max_loras, vocab_size, **kwargs):
        """Do what vLLM does in front of a step, and note which of its rows are whose."""
        update(self, mapping, lora_index_to_id, max_loras, vocab_size, **kwargs)
        self.braid_spans = find_spans(self.token_lora_indices.tolist())

    for ours in (update_metadata, add_lora_linear):
        _replace(wrapper.PunicaWrapperCPU, ours)
    # In processes that were started anew these have told OpenMP, as vLLM means it, where its threads belong.
    if multiprocessing.parent_process() is not None and not _BINDINGS & os.environ.keys():
        _bind_worker(importlib.import_module("vllm.v1.worker.cpu_worker").CPUWorker)


def _bind_worker(worker):
    begin = worker.init_device

    def init_device(self):
        """Do what vLLM does first in a worker, with threads that stay on their cores."""
        pin_threads([int(core) for core in os.environ["VLLM_CPU_OMP_THREADS_BIND"].split(",")])
        begin(self)

    _replace(worker, init_device)


def pin_threads(cores):
    """Let torch compute by one thread per core, each of which stays there, as vLLM has OpenMP do in a new process.

    It has to come before the first computation, which starts the threads.
    """
    torch.set_num_threads(len(cores))
    others = {*os.listdir("/proc/self/task")}
    torch.ones(_FOR_ALL_THREADS).add_(1)
    threads = [os.getpid(), *sorted(map(int, {*os.listdir("/proc/self/task")} - others))]
    for thread, core in zip(threads, cores, strict=False):
        os.sched_setaffinity(thread, {core})


def _replace(owner, ours):
    theirs = getattr(owner, ours.__name__, None)
    if theirs is None or list(inspect.signature(theirs).parameters) != list(inspect.signature(ours).parameters):
        raise RuntimeError(
            f"This version of vLLM has another {ours.__name__} than 0.32, so its LoRA on the CPU can't be mended. "
            "Install the version that Braid names, or check that this one is right about tokens without an adapter."
        )
    setattr(owner, ours.__name__, ours)


def find_spans(slots):
    """Return, for each adapter's slot among a step's rows, the rows from its first to its last, and whose they are.

    Args:
        slots: The slot of each row; -1 for rows without an adapter.

    Returns:
        Slot, rows as a slice, and a column that is true for the rows of others; None where all are the slot's own.
    """
    runs = {}
    start = 0
    for slot, run in groupby(slots):
        end = start + sum(1 for _ in run)
        if slot >= 0:
            runs.setdefault(slot, []).append((start, end))
        start = end
    spans = []
    for slot, own in runs.items():
        first, last = own[0][0], own[-1][1]
        others = None
        if len(own) > 1:
            others = torch.ones(last - first, 1, dtype=torch.bool)
            for start, end in own:
                others[start - first : end - first] = False
        spans.append((slot, slice(first, last), others))
    return spans


def add_lora_linear(self, y, x, lora_a_stacked, lora_b_stacked, scale, output_slices, *, buffer=None, **kwargs):
    """Add `x @ A.T @ B.T * scale` of each row's adapter to each slice of the output's columns."""
    y, x = y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1])
    for slot, rows, others in self.braid_spans:
        outputs = y[rows]
        dtype = torch.float32 if len(outputs) <= _FEW_ROWS else y.dtype
        inputs = x[rows].to(dtype)
        column = 0
        for down, up, width in zip(lora_a_stacked, lora_b_stacked, output_slices, strict=True):
            lower = inputs @ down[slot, 0].to(dtype).T
            if others is not None:
                # Filled and not multiplied: what overflows by this adapter stays out of others' rows.
                lower.masked_fill_(others, 0)
            target, raising = outputs[:, column : column + width], up[slot, 0].to(dtype).T
            if dtype == y.dtype:
                target.addmm_(lower, raising, alpha=scale)
            else:
                target.add_(lower @ raising, alpha=scale)
            column += width


def bgmv_shrink(inputs, lora_b_weights, output_tensor, lora_indices_tensor, scaling=1.0):
    """Write `inputs @ A.T * scaling` of each row's adapter to the output; rows without one get zero."""
    inputs = inputs.to(output_tensor.dtype)
    for slot, rows in _rows_by_slot(lora_indices_tensor, len(inputs)):
        if slot < 0:
            output_tensor[rows] = 0
            continue
        matrix = _matrix(lora_b_weights, slot).to(output_tensor.dtype)
        output_tensor[rows, : matrix.shape[0]] = scaling * (inputs[rows] @ matrix.T)


def bgmv_expand_slice(
    inputs, lora_b_weights, output_tensor, lora_indices_tensor, slice_offset, slice_size, add_inputs=True
):
    """Add `inputs @ B.T` of each row's adapter to a slice of the output's columns (or set it)."""
    inputs = inputs.to(output_tensor.dtype)
    target = output_tensor[:, slice_offset : slice_offset + slice_size]
    for slot, rows in _rows_by_slot(lora_indices_tensor, len(inputs)):
        if slot < 0:
            if not add_inputs:
                target[rows] = 0
            continue
        # The adapter's matrix and the model's output may be padded differently.
        matrix = _matrix(lora_b_weights, slot).to(output_tensor.dtype)[: target.shape[1]]
        product = inputs[rows] @ matrix.T
        if add_inputs:
            target[rows, : matrix.shape[0]] += product
        else:
            target[rows, : matrix.shape[0]] = product


def bgmv_expand(inputs, lora_b_weights, output_tensor, lora_indices_tensor, add_inputs=True):
    """Add `inputs @ B.T` of each row's adapter to the output (or set it)."""
    columns = output_tensor.shape[1]
    bgmv_expand_slice(inputs, lora_b_weights, output_tensor, lora_indices_tensor, 0, columns, add_inputs)


def sgmv_shrink(
    inputs,
    lora_a_weights,
    output_tensor,
    b_seq_start_loc,
    seq_len_tensor,
    lora_indices_tensor,
    batches,
    max_seq_length,
    token_nums,
    scaling,
):
    """Do as `bgmv_shrink`, for runs of rows with one index per run."""
    indices = torch.repeat_interleave(lora_indices_tensor, seq_len_tensor)
    bgmv_shrink(inputs, lora_a_weights, output_tensor, indices, scaling)


def sgmv_expand(
    inputs,
    lora_b_weights,
    output_tensor,
    b_seq_start_loc,
    seq_len_tensor,
    lora_indices_tensor,
    batches,
    max_seq_length,
    token_nums,
    add_inputs=False,
):
    """Do as `bgmv_expand`, for runs of rows with one index per run."""
    indices = torch.repeat_interleave(lora_indices_tensor, seq_len_tensor)
    bgmv_expand(inputs, lora_b_weights, output_tensor, indices, add_inputs)


def sgmv_expand_slice(
    inputs,
    lora_b_weights,
    output_tensor,
    b_seq_start_loc,
    seq_len_tensor,
    lora_indices_tensor,
    batches,
    max_seq_length,
    token_nums,
    slice_offset,
    slice_size,
    add_inputs=False,
):
    """Do as `bgmv_expand_slice`, for runs of rows with one index per run."""
    indices = torch.repeat_interleave(lora_indices_tensor, seq_len_tensor)
    bgmv_expand_slice(inputs, lora_b_weights, output_tensor, indices, slice_offset, slice_size, add_inputs)


def _rows_by_slot(indices, count):
    first, last = (bound.item() for bound in torch.aminmax(indices))
    if first == last:
        # All rows are of one adapter, as mostly: a slice needs no copy of them.
        return [(first, slice(None))]
    if len(indices) != count:
        # The logits of one request's prompt come with the indices of all requests, and nothing says which it is. Only
        # an adapter on the head itself, which peft leaves out unless told, would have something to add here.
        return []
    return [(slot, (indices == slot).nonzero().squeeze(1)) for slot in indices.unique().tolist()]


def _matrix(weights, slot):
    # (slots, rows, columns), or with a layer dimension of one after the slots.
    matrix = weights[slot]
    return matrix.squeeze(0) if matrix.dim() == 3 else matrix
