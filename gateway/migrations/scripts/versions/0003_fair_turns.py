"""The time of a job's last claim, by which tenants take turns"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("claimed_at", sa.Float(), nullable=True))
    op.create_index("ix_jobs_turns", "jobs", ["tenant_id", "claimed_at"])


def downgrade() -> None:
    op.drop_index("ix_jobs_turns", "jobs")
    op.drop_column("jobs", "claimed_at")
