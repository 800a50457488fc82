"""Calibrations of stores: weights of their own for the probability that passages answer; null where there are none"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("vector_stores", sa.Column("calibration", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("vector_stores", "calibration")
