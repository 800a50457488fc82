"""The API of tenants and keys; `gateway.tenants` is what everybody else reads of them."""
