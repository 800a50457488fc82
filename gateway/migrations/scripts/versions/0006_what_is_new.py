"""The time of an adapter's last change, by which reconcilers find what is new; the jobs that are due"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("adapters", sa.Column("changed_at", sa.Float(), nullable=True))
    op.create_index("ix_adapters_changed_at", "adapters", ["changed_at"])
    op.create_index("ix_jobs_due", "jobs", ["status", "not_before"])


def downgrade() -> None:
    op.drop_index("ix_jobs_due", "jobs")
    op.drop_index("ix_adapters_changed_at", "adapters")
    op.drop_column("adapters", "changed_at")
