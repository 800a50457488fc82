"""Secrets that links to the reports of evals' runs are signed with"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("eval_runs", sa.Column("report_secret", sa.String(255), nullable=True))


def downgrade() -> None:
    op.drop_column("eval_runs", "report_secret")
