"""Checkpoints of trainings: adapters as they were at the ends of epochs"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("adapters", sa.Column("step", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("adapters", "step")
