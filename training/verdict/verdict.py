"""The verdict's value: whether an adapter may be loaded, and every reason against it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = ["Reason", "Verdict", "list_examples"]

_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason to refuse an adapter.

    Attributes:
        code: `unsafe_file`, `missing_file`, `config_invalid`, `weights_invalid`, `unsupported_feature`,
            `rank_over_limit`, `unknown_module`, `wrong_shape`, `incomplete_pair`, `contradictory_targets`,
            `not_finite`, `too_large`, `no_effect`, `wrong_base`, `wrong_chat_template` or `digest_mismatch`.
        message: The fault, its consequence and the remedy, in sentences.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether an adapter may be loaded.

    Attributes:
        reasons: Every reason against it; empty when `ok`.
        notes: Sentences to mind that are no reason against it.
        digest: See `training.manifest.AdapterDigest`, of the very bytes that were judged; None when they were not worth
            reading.
        modules: Names of the adapted modules, each kind once: `down_proj`, …
        parameters: Numbers in the adapter.
    """

    ok: bool
    reasons: list[Reason]
    digest: str | None = None
    rank: int = 0
    modules: list[str] = field(default_factory=list[str])
    parameters: int = 0
    notes: list[str] = field(default_factory=list[str])


def list_examples(names: Sequence[str]) -> str:
    """Return the first few names for a message: an enemy chooses how many there are, and how long they are."""
    examples = ", ".join(repr(name[:120]) for name in names[:_EXAMPLES])
    return examples if len(names) <= _EXAMPLES else f"{examples} and {len(names) - _EXAMPLES} more"
