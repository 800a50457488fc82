"""Durable work: a job table with leases and fencing tokens, and the worker that claims from it."""

from gateway.jobs.believed_clock import BelievedClock
from gateway.jobs.claim import Claim, LeaseLost
from gateway.jobs.failpoints import failpoint
from gateway.jobs.handler import Handler, JobCancelled, JobDelayed, JobFailed, Outcome
from gateway.jobs.housekeeper import Chore, Housekeeper, delete_older
from gateway.jobs.queue import cancel, enqueue, enqueue_once, find_delay
from gateway.jobs.repository import CLOCK_SKEW_SECONDS, count_live, delete_ended, wake_jobs
from gateway.jobs.subject import begin_subject, cancel_subject, end_subject, queue_subject, succeed_subject
from gateway.jobs.tables import FINAL_STATUSES, JobRow
from gateway.jobs.wait import wait_for
from gateway.jobs.worker import Worker, WorkerTimings

__all__ = [
    "CLOCK_SKEW_SECONDS",
    "FINAL_STATUSES",
    "BelievedClock",
    "Chore",
    "Claim",
    "Handler",
    "Housekeeper",
    "JobCancelled",
    "JobDelayed",
    "JobFailed",
    "JobRow",
    "LeaseLost",
    "Outcome",
    "Worker",
    "WorkerTimings",
    "begin_subject",
    "cancel",
    "cancel_subject",
    "count_live",
    "delete_ended",
    "delete_older",
    "end_subject",
    "enqueue",
    "enqueue_once",
    "failpoint",
    "find_delay",
    "queue_subject",
    "succeed_subject",
    "wait_for",
    "wake_jobs",
]
