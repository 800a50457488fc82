"""Why an adapter is refused."""

from collections.abc import Sequence

import msgspec

_SHOWN = 3


class Reason(msgspec.Struct, frozen=True):
    """One reason to refuse an adapter.

    Attributes:
        code: `unsafe_file`, `missing_file`, `config_invalid`, `weights_invalid`, `unsupported_feature`,
            `rank_over_limit`, `unknown_module`, `wrong_shape`, `incomplete_pair`, `contradictory_targets`,
            `not_finite`, `too_large`, `no_effect`, `wrong_base`, `wrong_chat_template` or `digest_mismatch`.
        message: What is wrong, why that matters, what to do.
    """

    code: str
    message: str


def examples(names: Sequence[str]) -> str:
    """The first few names for a message: an enemy chooses how many there are, and how long they are."""
    shown = ", ".join(repr(name[:120]) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
