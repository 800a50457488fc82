"""The linear layers that an adapter may change: the language model's, without experts' routers."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping

__all__ = ["EXPERT_COUNTS", "is_router", "select_language_linears"]

EXPERT_COUNTS = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")
"""The names under which configs write the number of experts."""

_ROUTERS = frozenset({"gate", "router"})
_IN_STACK = re.compile(r"(.*?)\.(\d+)\..+")
"""A linear layer's stack, and the number of its layer there."""
_OTHER_SENSES = re.compile(r"vision|visual|image|audio|speech|video|projector|connector|aligner", re.IGNORECASE)


def is_router(name: str, out: int, experts: Collection[int]) -> bool:
    """Tell whether a linear layer chooses experts: by the end of its name, and one output per expert.

    Engines ignore adapters on routers without a word. A layer called `gate` in a model without experts is none.
    """
    return name.rpartition(".")[2] in _ROUTERS and out in experts


def select_language_linears(
    linears: Mapping[str, tuple[int, int]], layers: int | None, experts: Collection[int]
) -> dict[str, tuple[int, int]]:
    """Return the linear layers of the stack that text goes through, and those of its parent itself.

    What sees or hears is a stack of its own, and so are layers that predict several tokens at once; what joins them to
    the text is in no stack, or under a name that says so. Engines ignore adapters on all of these without a word.

    Args:
        linears: (out, in) of each 2-D weight by its name in the files.
        layers: Of the language model, from its config; those beyond are not loaded. None where that has no number.
        experts: The numbers of experts in the config.
    """
    stacks: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name in linears:
        if match := _IN_STACK.fullmatch(name):
            stacks[match[1]][name] = int(match[2])
    if not stacks:
        return {}

    def rank(stack: str) -> tuple[bool, bool, int]:
        whole = layers is None or set(range(layers)) <= set(stacks[stack].values())
        return (
            not _OTHER_SENSES.search(stack),
            whole,
            sum(linears[name][0] * linears[name][1] for name in stacks[stack]),
        )

    text = max(stacks, key=rank)
    parent = text.rpartition(".")[0]
    return {
        name: shape
        for name, shape in linears.items()
        if not is_router(name, shape[0], experts)
        and (
            (layers is None or stacks[text][name] < layers)
            if name in stacks[text]
            else name.rpartition(".")[0] == parent and not _OTHER_SENSES.search(name)
        )
    }
