"""The columns of all rooms that name bytes, and what of them counts as a tenant's storage."""

from collections.abc import Mapping
from functools import partial

from gateway.adapters.lifecycle import GONE
from gateway.adapters.tables import AdapterRow
from gateway.comparisons import ComparisonRow
from gateway.diagnoses import DiagnosisRow
from gateway.evals import EvalRunRow
from gateway.evaluation_jobs import EvaluationRow
from gateway.feedback import FeedbackRow
from gateway.files import FileRow, UploadPartRow, UploadRow
from gateway.fine_tuning import FineTuningJobRow
from gateway.gates import GateRow
from gateway.tenants.repository import sum_by_tenant
from gateway.tenants.storage import SumBytes
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

STORED: Mapping[str, SumBytes] = {
    "files": partial(sum_by_tenant, column=FileRow.bytes),
    "uploads": partial(sum_by_tenant, column=UploadRow.bytes, where=UploadRow.status == "pending"),
    "adapters": partial(
        sum_by_tenant, column=AdapterRow.bytes, where=AdapterRow.status.not_in([status.value for status in GONE])
    ),
    "training_rows": partial(sum_by_tenant, column=FineTuningJobRow.rows_bytes),
    "training_states": partial(sum_by_tenant, column=FineTuningJobRow.state_bytes),
    "evaluations": partial(sum_by_tenant, column=EvaluationRow.bytes),
    "evals": partial(sum_by_tenant, column=EvalRunRow.bytes),
    "comparisons": partial(sum_by_tenant, column=ComparisonRow.bytes),
    "feedback": partial(sum_by_tenant, column=FeedbackRow.bytes),
    "gates": partial(sum_by_tenant, column=GateRow.bytes),
    "diagnoses": partial(sum_by_tenant, column=DiagnosisRow.bytes),
}
"""All of a tenant's storage. Documents' versions are files; a pending upload keeps the room for what it announced."""
