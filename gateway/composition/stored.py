"""The storage of a tenant: which rows of which rooms count as it."""

from collections.abc import Mapping

from sqlalchemy import Select

from gateway.adapters.lifecycle import GONE
from gateway.adapters.service import AdapterRow
from gateway.comparisons import ComparisonRow
from gateway.diagnoses import DiagnosisRow
from gateway.evals import EvalRunRow
from gateway.evaluation_jobs import EvaluationRow
from gateway.feedback import FeedbackRow
from gateway.files import FileRow, UploadRow
from gateway.fine_tuning import FineTuningJobRow
from gateway.gates import GateRow
from gateway.tenants.repository import sum_bytes

__all__ = ["BYTE_SELECTS"]

BYTE_SELECTS: Mapping[str, Select[str, int]] = {
    "files": sum_bytes(FileRow.bytes),
    "uploads": sum_bytes(UploadRow.bytes, UploadRow.status == "pending"),
    "adapters": sum_bytes(AdapterRow.bytes, AdapterRow.status.not_in([status.value for status in GONE])),
    "training_rows": sum_bytes(FineTuningJobRow.rows_bytes),
    "training_states": sum_bytes(FineTuningJobRow.state_bytes),
    "evaluations": sum_bytes(EvaluationRow.bytes),
    "evals": sum_bytes(EvalRunRow.bytes),
    "comparisons": sum_bytes(ComparisonRow.bytes),
    "feedback": sum_bytes(FeedbackRow.bytes),
    "gates": sum_bytes(GateRow.bytes),
    "diagnoses": sum_bytes(DiagnosisRow.bytes),
}
"""All of a tenant's storage. Documents' versions are files; a pending upload keeps the room for what it announced."""
