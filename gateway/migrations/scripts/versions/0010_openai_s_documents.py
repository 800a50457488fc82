"""Uploads in parts, files that expire, batches of files, and the documents of which answers had passages"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_BATCH = 500


def upgrade() -> None:
    op.add_column("files", sa.Column("expires_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_files_expires_at", "files", ["expires_at"])
    _create_table(
        "uploads",
        {},
        _text("filename"),
        _text("purpose"),
        _number("bytes"),
        _text("status"),
        _number("expires_at"),
        sa.Column("file_seconds", sa.BigInteger(), nullable=True),
        sa.Column("file_id", sa.String(length=255), nullable=True),
        indexes=("expires_at",),
    )
    _create_table("upload_parts", {"upload_id": "uploads"}, _text("digest"), _number("bytes"), indexes=("digest",))
    cancelled = sa.Column("cancelled_at", sa.BigInteger(), nullable=True)
    _create_table("file_batches", {"store_id": "vector_stores"}, cancelled)
    _create_table("batch_files", {"batch_id": "file_batches", "document_id": "documents"}, _text("version_id"))
    _create_table(
        "answer_documents",
        {"answer_id": "answers"},
        _text("document_id"),
        _number("version"),
        _number("index_epoch"),
        sa.Column("numbers", sa.JSON(), nullable=False),
        sa.Column("cited", sa.Boolean(), nullable=False),
        indexes=("document_id",),
    )
    _fill_answer_documents()


def downgrade() -> None:
    for table in ("answer_documents", "batch_files", "file_batches", "upload_parts", "uploads"):
        op.drop_table(table)
    op.drop_index("ix_files_expires_at", "files")
    op.drop_column("files", "expires_at")


def _text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=255), nullable=False)


def _number(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False)


def _create_table(table: str, parents: dict[str, str], *columns: sa.Column[Any], indexes: tuple[str, ...] = ()) -> None:
    """Create a table of tenants' rows; `parents` are columns by whose row they go, with that row's table."""
    op.create_table(
        table,
        _text("id"),
        _number("created_at"),
        _text("tenant_id"),
        *(_text(name) for name in parents),
        *columns,
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f(f"fk_{table}_tenant_id_tenants")),
        *(
            sa.ForeignKeyConstraint([name], [f"{of}.id"], name=op.f(f"fk_{table}_{name}_{of}"), ondelete="CASCADE")
            for name, of in parents.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
    )
    op.create_index(f"ix_{table}_pages", table, ["tenant_id", "created_at", "id"])
    for name in (*parents, *indexes):
        op.create_index(f"ix_{table}_{name}", table, [name])


def _fill_answer_documents() -> None:
    """Note the documents of the answers that are there, from their records."""
    answers = sa.table("answers", *map(sa.column, ("id", "created_at", "tenant_id")), sa.column("record", sa.JSON()))
    names = ("id", "created_at", "tenant_id", "answer_id", "document_id", "version", "index_epoch", "cited")
    uses = sa.table("answer_documents", *map(sa.column, names), sa.column("numbers", sa.JSON()))
    connection, last = op.get_bind(), ""
    while True:
        query = sa.select(answers).where(answers.c.id > last).order_by(answers.c.id).limit(_BATCH)
        rows = connection.execute(query).all()
        if not rows:
            return
        last = rows[-1].id
        values = [value for row in rows for value in _list_uses(row)]
        if values:
            connection.execute(sa.insert(uses), values)


def _list_uses(row: Any) -> list[dict[str, Any]]:
    uses: dict[str, dict[str, Any]] = {}
    for passage in row.record.get("passages", []):
        if "document_id" not in passage:
            continue
        use = uses.setdefault(
            passage["document_id"],
            {
                "id": f"use_{row.id}_{len(uses)}",
                "created_at": row.created_at,
                "tenant_id": row.tenant_id,
                "answer_id": row.id,
                "document_id": passage["document_id"],
                "version": passage["version"],
                "index_epoch": passage["index_epoch"],
                "cited": False,
                "numbers": [],
            },
        )
        use["numbers"].append(passage["number"])
        use["cited"] = use["cited"] or passage["cited"]
    return list(uses.values())
