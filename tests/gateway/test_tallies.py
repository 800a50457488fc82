from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from gateway.tallies import CountFamily, DurationFamily

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def lines(registry: CollectorRegistry) -> list[str]:
    """List what a registry says, without the times at which the library's own metrics were made."""
    return [line for line in generate_latest(registry).decode().splitlines() if "_created" not in line]


def test_tallies_say_what_the_library_says_of_the_same_figures() -> None:
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    counter = Counter("answers", "Answers.", ("outcome",), registry=theirs)
    histogram = Histogram("seconds", "Seconds.", ("route",), buckets=SECONDS, registry=theirs)
    counts, durations = (
        CountFamily("answers", "Answers.", ("outcome",)),
        DurationFamily("seconds", "Seconds.", ("route",)),
    )
    ours.register(counts)
    ours.register(durations)
    for outcome, amount in (("completed", 1), ("broken", 2.5), ("completed", 3)):
        counter.labels(outcome).inc(amount)
        counts.find(outcome).add(amount)
    for value in (0, 0.004, 0.005, 0.0051, 1, 59.9, 60, 61):
        histogram.labels("/v1").observe(value)
        durations.find("/v1").add(value)
    histogram.labels("/idle")
    durations.find("/idle")
    assert lines(ours) == lines(theirs)
