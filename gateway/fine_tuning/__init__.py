"""OpenAI's fine-tuning jobs: a tenant's conversations in, an adapter in its style out."""
