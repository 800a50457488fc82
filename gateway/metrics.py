"""The metrics that Prometheus reads: one registry per process."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.tallies import CountFamily, DurationFamily

__all__ = ["Metrics", "Samples"]

Samples = Mapping[tuple[str, ...], float]
"""Values by their labels' values."""

_READ_WHEN_ASKED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "braid_chat_running": ("Chat answers that are being made now.", ()),
    "braid_answer_records_waiting": ("Answers' records that wait to be written.", ()),
    "braid_answer_counts_waiting": ("Answers' records whose tokens are still to be counted.", ()),
    "braid_replica_ready": ("1 where a model server takes requests.", ("replica",)),
    "braid_replica_running": ("Requests of this process that run on a model server.", ("replica",)),
    "braid_replica_corrupted_requests": (
        "Requests for which a model server has computed no numbers (NaN) since its start, where it counts them.",
        ("replica",),
    ),
    "braid_adapters_resident": ("Adapters that are loaded and proven on a model server.", ("replica",)),
    "braid_adapter_failures": (
        "Adapters that should be on a model server and aren't; permanent ones are tried again after its restart only.",
        ("replica", "permanent"),
    ),
    "braid_adapters_with_stale_facts": (
        "Adapters that answer and have learnt values which documents have changed since.",
        (),
    ),
    "braid_jobs": ("Jobs that wait or run, of all workers.", ("kind", "status")),
    "braid_retriever_work": ("What a retriever has to do now, for all gateways and workers.", ("process", "kind")),
    "braid_database_connections": ("Connections to the database of this process.", ("state",)),
}


class Metrics:
    """A process's figures. None carries a tenant's name or id: those are in the access log.

    What has a state of its own anyway, such as a queue, is read when the metrics are: `read_from` says where.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._readers = _Readers()
        self.registry.register(self._readers)
        self._answers = self._counts("braid_chat_answers", "Chat answers by how they ended.", "outcome")
        self.seconds = self._durations("braid_chat_seconds", "Seconds from request to the answer's end.").find()
        self.first_byte = self._durations("braid_chat_first_byte_seconds", "Seconds to the first byte.").find()
        self.retrieval = self._durations("braid_retrieval_seconds", "Seconds to find passages.").find()
        tokens = self._counts("braid_chat_tokens", "Tokens by direction.", "kind")
        self.prompt_tokens = tokens.find("prompt")
        self.completion_tokens = tokens.find("completion")
        self.records_dropped = self._counter(
            "braid_answer_records_dropped_total",
            "Answers' records lost because the database failed or was too slow.",
        )
        self.counts_dropped = self._counter(
            "braid_answer_counts_dropped_total",
            "Answers whose tokens stay uncounted because engines failed, or too many waited, or the process ended.",
        )
        self._requests = self._counts(
            "braid_http_requests", "Requests by route and class of status.", "method", "route", "status"
        )
        self._request_seconds = self._durations(
            "braid_http_seconds", "Seconds from a request's headers to its answer's end.", "route"
        )
        self._jobs_ended = self._counter("braid_jobs_ended_total", "Runs of jobs in this worker.", "kind", "outcome")
        self._removals = self._counter("braid_removed_total", "Things removed because their time was over.", "chore")

    def read_from(self, name: str, reader: Callable[[], Samples]) -> None:
        """Have a metric's values read from `reader` whenever they are asked for."""
        if name not in _READ_WHEN_ASKED:
            raise KeyError(f"there is no metric {name!r} that is read when asked for")
        self._readers.by_name[name] = reader

    def count_answer(self, outcome: str) -> None:
        """Count an answer: `completed`, `interrupted`, `abandoned`, or an error's code."""
        self._answers.find(outcome).add()

    def count_request(self, method: str, route: str, status: str, seconds: float) -> None:
        """Count a request by its route's template and its status's class, such as `2xx`."""
        self._requests.find(method, route, status).add()
        self._request_seconds.find(route).add(seconds)

    def count_job(self, kind: str, outcome: str) -> None:
        """Count a job's run: `succeeded`, `failed`, `cancelled`, or `queued` where it is tried again."""
        self._jobs_ended.labels(kind, outcome).inc()

    def count_removed(self, chore: str, number: int) -> None:
        """Count what a worker's chore has removed."""
        self._removals.labels(chore).inc(number)

    def render_text(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def _counts(self, name: str, documentation: str, *labels: str) -> CountFamily:
        family = CountFamily(name, documentation, labels)
        self.registry.register(family)
        return family

    def _durations(self, name: str, documentation: str, *labels: str) -> DurationFamily:
        family = DurationFamily(name, documentation, labels)
        self.registry.register(family)
        return family


class _Readers(Collector):
    def __init__(self) -> None:
        self.by_name: dict[str, Callable[[], Samples]] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for name, (documentation, labels) in _READ_WHEN_ASKED.items():
            family = GaugeMetricFamily(name, documentation, labels=labels)
            for values, value in self.by_name.get(name, _read_nothing)().items():
                family.add_metric(values, value)
            yield family


def _read_nothing() -> Samples:
    return {}
