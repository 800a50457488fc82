"""A job's place among those of its queue key: an urgent one goes before others"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_jobs_status", "jobs")
    op.add_column("jobs", sa.Column("place", sa.String(255), nullable=False, server_default=""))
    # Of what was there each has the place of its id, behind the prefix.
    op.execute("UPDATE jobs SET place = substr(id, 5)")
    op.create_index("ix_jobs_status", "jobs", ["status", "queue_key", "place"])


def downgrade() -> None:
    op.drop_index("ix_jobs_status", "jobs")
    op.drop_column("jobs", "place")
    op.create_index("ix_jobs_status", "jobs", ["status", "queue_key", "id"])
