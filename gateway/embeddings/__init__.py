"""Embeddings in OpenAI's contract, by the retriever's own embedder."""
