"""The Braid gateway: everything with HTTP, a database or a tenant in it."""
