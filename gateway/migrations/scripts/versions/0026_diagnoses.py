"""Diagnoses: which strand failed"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "diagnoses",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("assistant_id", sa.String(255), nullable=False),
        sa.Column("assistant", sa.String(255), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(255), nullable=False),
        sa.Column("sources", sa.JSON(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("inputs_digest", sa.String(255), nullable=False),
        sa.Column("report_digest", sa.String(255), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("passes", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("strands", sa.JSON(), nullable=False),
        sa.Column("releases", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.String(255), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_diagnoses_tenant_id_tenants"),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistants.id"], name="fk_diagnoses_assistant_id_assistants", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_diagnoses"),
    )
    op.create_index("ix_diagnoses_pages", "diagnoses", ["tenant_id", "created_at", "id"])
    for column in ("assistant_id", "inputs_digest", "report_digest"):
        op.create_index(f"ix_diagnoses_{column}", "diagnoses", [column])


def downgrade() -> None:
    op.drop_table("diagnoses")
