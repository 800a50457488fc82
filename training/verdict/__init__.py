"""The verdict on an adapter: does vLLM serve it as it is meant, and are an engine's other tenants safe from it?

vLLM itself answers 200 to adapters that change nothing, belong to another model, or hold NaN and so spoil the
requests of everybody else until it is restarted. This verdict is given before any engine sees the files.
"""

from training.verdict.base_shape import BaseShape
from training.verdict.judge import judge
from training.verdict.verdict import Reason, Verdict

__all__ = ["BaseShape", "Reason", "Verdict", "judge"]
