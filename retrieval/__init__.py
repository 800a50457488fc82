"""Documents → chunks → index → passages.

`retrieval.client` and `retrieval.passages` need only msgspec; everything else needs the model environment and runs in
its own process (`python -m retrieval.worker`). So this package imports nothing by itself.
"""

__all__: list[str] = []
