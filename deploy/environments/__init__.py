"""Makes Braid's two environments with nothing but Python's standard library and pip.

`.venv` holds the gateway and the development tools; `.venv-model` holds vLLM, training and the retriever. Each is
filled from one list in `deploy/locks` that is complete: every package with its version and the digests of its wheels,
so nothing is resolved, built or taken unseen on a user's machine.
"""

__all__: list[str] = []
