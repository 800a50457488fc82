"""The metrics that Prometheus reads: one registry per process."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The gateway's counters; none carries a tenant's name, since `/metrics` is open on the private network.

    Args:
        running: Tells how many answers are being made.
    """

    def __init__(self, running: Callable[[], float] = lambda: 0) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "braid_chat_answers_total", "Chat answers by how they ended.", ["outcome"], registry=self.registry
        )
        self.seconds = Histogram(
            "braid_chat_seconds", "Seconds from request to the answer's end.", buckets=_SECONDS, registry=self.registry
        )
        self.first_byte = Histogram(
            "braid_chat_first_byte_seconds", "Seconds to the first byte.", buckets=_SECONDS, registry=self.registry
        )
        self.retrieval = Histogram(
            "braid_retrieval_seconds", "Seconds to find passages.", buckets=_SECONDS, registry=self.registry
        )
        tokens = Counter("braid_chat_tokens_total", "Tokens by direction.", ["kind"], registry=self.registry)
        self.prompt_tokens = tokens.labels("prompt")
        self.completion_tokens = tokens.labels("completion")
        Gauge("braid_chat_running", "Chat answers that are being made now.", registry=self.registry).set_function(
            running
        )
        self.records_dropped = Counter(
            "braid_answer_records_dropped_total",
            "Answers' records lost because the database failed or was too slow.",
            registry=self.registry,
        )
        self._by_outcome: dict[str, Counter] = {}  # looking a child up costs more than counting

    def count_answer(self, outcome: str) -> None:
        """Count an answer: `completed`, `interrupted`, `abandoned`, or an error's code."""
        child = self._by_outcome.get(outcome)
        if child is None:
            child = self._by_outcome[outcome] = self._answers.labels(outcome)
        child.inc()

    def text(self) -> bytes:
        return generate_latest(self.registry)
