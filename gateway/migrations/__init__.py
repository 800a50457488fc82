"""Every table, and the steps that bring a database's schema up to date. Stands above the nouns that own the tables."""

from gateway.migrations.migrate import SchemaTooNew, list_schemas, migrate, read_schema

__all__ = ["SchemaTooNew", "list_schemas", "migrate", "read_schema"]
