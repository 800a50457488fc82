"""Documents → chunks → index → passages.

`retrieval.client`, `retrieval.messages` and `retrieval.errors` are its face and need only msgspec; the other modules
need the model environment and run in a process of their own (`python -m retrieval`). So this package imports nothing
by itself.
"""

__all__: list[str] = []
