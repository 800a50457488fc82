"""The traits of a base model for training jobs; null where an older version prepared it"""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("base_models", sa.Column("training", sa.JSON(), nullable=True))


def downgrade() -> None:
    op.drop_column("base_models", "training")
