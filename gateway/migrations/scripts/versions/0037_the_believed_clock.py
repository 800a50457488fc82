"""The time that workers believe, by which they delete what has had its time"""

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "believed_clock",
        sa.Column("id", sa.String(255), nullable=False),
        sa.Column("believed", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_believed_clock"),
    )


def downgrade() -> None:
    op.drop_table("believed_clock")
