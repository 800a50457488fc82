"""Gates of releases, and rollouts that were forced past one"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("releases", sa.Column("gate", sa.JSON(), nullable=True))
    op.add_column("rollouts", sa.Column("forced", sa.JSON(), nullable=True))
    op.create_table(
        "gates",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.String(255), nullable=False),
        sa.Column("assistant_id", sa.String(255), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("against", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(255), nullable=False),
        sa.Column("source", sa.String(255), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("rows_digest", sa.String(255), nullable=True),
        sa.Column("training_digest", sa.String(255), nullable=True),
        sa.Column("report_digest", sa.String(255), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.JSON(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.String(255), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name="fk_gates_tenant_id_tenants"),
        sa.ForeignKeyConstraint(
            ["assistant_id"], ["assistants.id"], name="fk_gates_assistant_id_assistants", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_gates"),
        sa.UniqueConstraint("assistant_id", "number", name="uq_gates_assistant_id"),
    )
    op.create_index("ix_gates_pages", "gates", ["tenant_id", "created_at", "id"])
    for column in ("assistant_id", "rows_digest", "training_digest", "report_digest"):
        op.create_index(f"ix_gates_{column}", "gates", [column])


def downgrade() -> None:
    op.drop_table("gates")
    op.drop_column("rollouts", "forced")
    op.drop_column("releases", "gate")
