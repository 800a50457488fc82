"""Tenants and keys as everybody reads them: tables, look-ups, and the authenticator."""
