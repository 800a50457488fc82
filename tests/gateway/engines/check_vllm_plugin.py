"""Run in the engine's environment: the plugin's arithmetic against plain products, row by row, called as vLLM does."""

import importlib
import os
from importlib.metadata import entry_points

import torch
from vllm.lora.layers import LoRAMapping

SLOTS, TOKENS, WIDTH, OUT, RANK = 3, 24, 40, 56, 8


def expected(inputs, down, up, indices, scaling, before, offset=0):
    wanted = before.clone()
    for row, slot in enumerate(indices.tolist()):
        if slot >= 0:
            change = scaling * (inputs[row] @ down[slot, 0].T) @ up[slot, 0].T
            wanted[row, offset : offset + up.shape[2]] += change
    return wanted


def check_layers(theirs) -> None:
    """Compare whole layers, as they are asked for in steps whose rows are of several adapters and of none."""
    ids = [11, 12, 13]
    for dtype, bound in ((torch.float32, 1e-4), (torch.bfloat16, 4e-2)):
        for pattern in ([0] * 3, [11] * 8, [12, 12, 0, 11, 0, 12, 13, 11], [11] * 40 + [0] * 9 + [13] * 30 + [11] * 5):
            rows, padding = len(pattern), 3
            wrapper = theirs.PunicaWrapperCPU(rows + padding, max_batches=rows, device="cpu")
            mapping = LoRAMapping(tuple(pattern), tuple(pattern), is_prefill=True)
            wrapper.update_metadata(mapping, ids, SLOTS, 100)
            slots = torch.tensor([ids.index(one) if one else -1 for one in pattern])
            inputs = torch.randn(rows + padding, WIDTH).to(dtype)
            before = torch.randn(rows + padding, OUT + 20).to(dtype)
            downs = tuple(torch.randn(SLOTS, 1, RANK, WIDTH).to(dtype) for _ in range(2))
            ups = tuple(torch.randn(SLOTS, 1, width, RANK).to(dtype) for width in (OUT, 20))
            output = before.clone()
            wrapper.add_lora_linear(output, inputs, downs, ups, 0.5, (OUT, 20))
            wanted = before.float()
            for down, up, offset in zip(downs, ups, (0, OUT), strict=True):
                wanted = expected(inputs.float(), down.float(), up.float(), slots, 0.5, wanted, offset)
            torch.testing.assert_close(output.float(), wanted, rtol=bound, atol=bound * 20)


def check_isolation(theirs) -> None:
    """Numbers that overflow in one adapter's rows stay out of the rows between them."""
    pattern = [11, 0, 12, 11] * 5
    wrapper = theirs.PunicaWrapperCPU(len(pattern), max_batches=len(pattern), device="cpu")
    wrapper.update_metadata(LoRAMapping(tuple(pattern), tuple(pattern), is_prefill=True), [11, 12, 13], SLOTS, 100)
    down, up = torch.randn(SLOTS, 1, RANK, WIDTH), torch.randn(SLOTS, 1, OUT, RANK)
    down[0] = 3e38
    inputs, before = torch.randn(len(pattern), WIDTH).abs() + 1, torch.randn(len(pattern), OUT)
    output = before.clone()
    wrapper.add_lora_linear(output, inputs, (down,), (up,), 1.0, (OUT,))
    slots = torch.tensor([-1 if one in (0, 11) else 1 for one in pattern])
    wanted = expected(inputs, down, up, slots, 1.0, before)
    others = [row for row, one in enumerate(pattern) if one != 11]
    assert not output[pattern.index(11)].isfinite().all()
    torch.testing.assert_close(output[others], wanted[others], rtol=1e-4, atol=1e-4)


def check_threads() -> None:
    """Each thread that computes has a core of its own, in one of the order in which cores are named."""
    cores = sorted(os.sched_getaffinity(0))
    importlib.import_module("braid_vllm_plugin").pin_threads(cores)
    assert torch.get_num_threads() == len(cores)
    bound = [os.sched_getaffinity(int(thread)) for thread in os.listdir("/proc/self/task")]
    assert all({core} in bound for core in cores)
    assert os.sched_getaffinity(0) == {cores[0]}


def main() -> None:
    check_threads()  # before anything is computed, as in a worker
    (found,) = [entry for entry in entry_points(group="vllm.general_plugins") if entry.name == "braid"]
    theirs = importlib.import_module("vllm.lora.punica_wrapper.punica_cpu")
    original = theirs.bgmv_shrink
    found.load()()
    assert theirs.bgmv_shrink is not original
    torch.manual_seed(0)
    down, up = torch.randn(SLOTS, 1, RANK, WIDTH), torch.randn(SLOTS, 1, OUT, RANK)
    inputs, before = torch.randn(TOKENS, WIDTH), torch.randn(TOKENS, OUT + 10)
    for pattern in ([0], [-1], [0, 1, -1, 2], [2, -1]):
        indices = torch.tensor((pattern * TOKENS)[:TOKENS])
        buffer, output = torch.full((TOKENS, RANK), 9.0), before.clone()
        theirs.bgmv_shrink(inputs, down, buffer, indices, 2.0)
        theirs.bgmv_expand_slice(buffer, up, output, indices, 10, OUT, True)
        torch.testing.assert_close(output, expected(inputs, down, up, indices, 2.0, before, 10), rtol=1e-4, atol=1e-4)
        output = before.clone()
        theirs.bgmv_expand(buffer, up, output, indices, True)
        torch.testing.assert_close(output, expected(inputs, down, up, indices, 2.0, before), rtol=1e-4, atol=1e-4)
    # Three requests of 10, 4 and 10 tokens, the middle one to the base model.
    lengths, slots = torch.tensor([10, 4, 10]), torch.tensor([1, -1, 0])
    runs = (torch.tensor([0, 10, 14]), lengths, slots, 3, 10, TOKENS)
    buffer, output = torch.zeros(TOKENS, RANK), before.clone()
    theirs.sgmv_shrink(inputs, down, buffer, *runs, 0.5)
    theirs.sgmv_expand_slice(buffer, up, output, *runs, 0, OUT, True)
    indices = torch.repeat_interleave(slots, lengths)
    torch.testing.assert_close(output, expected(inputs, down, up, indices, 0.5, before), rtol=1e-4, atol=1e-4)
    # Logits of one request's prompt, with the indices of all requests in the batch.
    head, output = torch.zeros(5, RANK), before[:5].clone()
    theirs.bgmv_shrink(inputs[:5], down, head, torch.tensor([0, -1, 1, -1, -1, -1, 2]), 1.0)
    theirs.bgmv_expand(head, up, output, torch.tensor([0, -1, 1, -1, -1, -1, 2]), True)
    torch.testing.assert_close(output, before[:5])
    check_layers(theirs)
    check_isolation(theirs)


if __name__ == "__main__":
    main()
