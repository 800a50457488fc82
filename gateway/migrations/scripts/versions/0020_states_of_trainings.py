"""States of unfinished trainings, from which another worker goes on"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0017"
branch_labels = None
depends_on = None

_TABLE = "fine_tuning_jobs"


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("state_digest", sa.String(length=255), nullable=True))
    op.add_column(_TABLE, sa.Column("state_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column(_TABLE, sa.Column("state_step", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for column in ("state_step", "state_bytes", "state_digest"):
        op.drop_column(_TABLE, column)
