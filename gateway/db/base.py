"""The declarative base, and the base of every table that a tenant owns."""

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, declared_attr, mapped_column

__all__ = ["Base", "OwnedRow"]


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can change them on any database."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration
        str: String(255),
        int: BigInteger,
        dict[str, Any]: JSON,
        list[Any]: JSON,
        list[str]: JSON,
    }


class OwnedRow(Base):
    """A row of one tenant. `created_at` is Unix seconds, as in OpenAI's objects."""

    __abstract__ = True

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[int]

    @declared_attr
    def tenant_id(cls) -> Mapped[str]:
        return mapped_column(ForeignKey("tenants.id"))

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # A page of a tenant's rows is read from this index, however many rows the tenant has.
        Index(f"ix_{cls.__tablename__}_pages", cls.tenant_id, cls.created_at, cls.id)
