"""What a tenant can name in `model`."""
