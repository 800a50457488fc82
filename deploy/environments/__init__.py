"""Makes Braid's two environments with nothing but Python's standard library and pip.

`.venv` holds the gateway and the development tools, installed from `requirements.lock` with hashes.
`.venv-model` holds vLLM, training and the retriever, under the versions that were tested together.
"""

__all__: list[str] = []
