"""The state of learnt facts at the last look at their documents, and the number of an adapter's that are stale"""

import sqlalchemy as sa
from alembic import op

revision = "0040"
down_revision = "0039"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("learnt_facts", sa.Column("looked_version", sa.BigInteger(), nullable=True))
    op.add_column("learnt_facts", sa.Column("state", sa.String(length=255), nullable=True))
    op.add_column("adapters", sa.Column("stale_facts", sa.BigInteger(), nullable=True))
    op.add_column("adapters", sa.Column("stale_facts_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_adapters_stale_facts", "adapters", ["stale_facts"])


def downgrade() -> None:
    op.drop_index("ix_adapters_stale_facts", "adapters")
    op.drop_column("adapters", "stale_facts_at")
    op.drop_column("adapters", "stale_facts")
    op.drop_column("learnt_facts", "state")
    op.drop_column("learnt_facts", "looked_version")
