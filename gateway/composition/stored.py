"""The columns of all rooms that name bytes, and what of them counts as a tenant's storage."""

from collections.abc import Mapping

from sqlalchemy import Select

from gateway.adapters.lifecycle import GONE
from gateway.adapters.service import AdapterRow
from gateway.comparisons import ComparisonRow
from gateway.diagnoses import DiagnosisRow
from gateway.evals import EvalRunRow
from gateway.evaluation_jobs import EvaluationRow
from gateway.feedback import FeedbackRow
from gateway.files import FileRow, UploadPartRow, UploadRow
from gateway.fine_tuning import FineTuningJobRow
from gateway.gates import GateRow
from gateway.tenants.repository import sum_bytes
from gateway.vector_stores import DocumentVersionRow

__all__ = ["DIGESTS", "STORED"]

DIGESTS = (
    FileRow.digest,
    UploadPartRow.digest,
    DocumentVersionRow.digest,
    FineTuningJobRow.rows_digest,
    FineTuningJobRow.validation_rows_digest,
    FineTuningJobRow.state_digest,
    EvaluationRow.questions_digest,
    EvaluationRow.report_digest,
    EvalRunRow.items_digest,
    ComparisonRow.prompts_digest,
    GateRow.rows_digest,
    GateRow.training_digest,
    GateRow.report_digest,
    DiagnosisRow.inputs_digest,
    DiagnosisRow.report_digest,
)
"""Every column that refers to bytes in the artifacts: what none of them names is garbage."""

STORED: Mapping[str, Select[str, int]] = {
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
