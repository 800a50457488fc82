"""The position at which the listing of a source stopped; null where it came to its end"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sources", sa.Column("position", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("sources", "position")
