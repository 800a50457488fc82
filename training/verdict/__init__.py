"""Will vLLM serve this adapter as it is meant, and are the other tenants on that engine safe from it?

vLLM itself answers 200 to adapters that change nothing, belong to another model, or hold NaN and so spoil the
requests of everybody else until it is restarted. This verdict is given before any engine sees the files.
"""

from training.verdict.base_shape import BaseShape
from training.verdict.judge import Reason, Verdict, judge

__all__ = ["BaseShape", "Reason", "Verdict", "judge"]
