"""The values that fine-tuning jobs learn from documents, to be compared with what these say later"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

_TABLE = "learnt_facts"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("fine_tuning_job_id", sa.String(length=255), nullable=False),
        sa.Column("store_id", sa.String(length=255), nullable=False),
        sa.Column("document_id", sa.String(length=255), nullable=False),
        sa.Column("document_key", sa.Text(), nullable=False),
        sa.Column("document_version", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=255), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("readings", sa.JSON(), nullable=False),
        sa.Column("rows", sa.JSON(), nullable=False),
        sa.Column("changed", sa.Boolean(), nullable=False),
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(
            ["fine_tuning_job_id"],
            ["fine_tuning_jobs.id"],
            name=op.f("fk_learnt_facts_fine_tuning_job_id_fine_tuning_jobs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_learnt_facts_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learnt_facts")),
    )
    op.create_index(op.f("ix_learnt_facts_fine_tuning_job_id"), _TABLE, ["fine_tuning_job_id"])
    op.create_index("ix_learnt_facts_pages", _TABLE, ["tenant_id", "created_at", "id"])


def downgrade() -> None:
    op.drop_table(_TABLE)
