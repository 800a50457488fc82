"""The models that a tenant can name in `model`."""
