"""Indexes by which old rows are found, and pages of a tenant's rows; the tenants that keep the text of citations"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OWNED = (
    "adapters",
    "answers",
    "assistants",
    "document_versions",
    "documents",
    "files",
    "fine_tuning_checkpoints",
    "fine_tuning_events",
    "fine_tuning_jobs",
    "jobs",
    "keys",
    "prompts",
    "releases",
    "rollouts",
    "vector_stores",
)
_BY_TIME = (("answers", "created_at"), ("fine_tuning_events", "created_at"), ("jobs", "finished_at"))


def upgrade() -> None:
    for table in _OWNED:
        op.create_index(f"ix_{table}_pages", table, ["tenant_id", "created_at", "id"])
        op.drop_index(f"ix_{table}_tenant_id", table)
    for table, column in (*_BY_TIME, ("adapters", "digest")):
        op.create_index(f"ix_{table}_{column}", table, [column])
    op.add_column(
        "tenants", sa.Column("keeps_cited_text", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )


def downgrade() -> None:
    op.drop_column("tenants", "keeps_cited_text")
    for table, column in (*_BY_TIME, ("adapters", "digest")):
        op.drop_index(f"ix_{table}_{column}", table)
    for table in _OWNED:
        op.create_index(f"ix_{table}_tenant_id", table, ["tenant_id"])
        op.drop_index(f"ix_{table}_pages", table)
