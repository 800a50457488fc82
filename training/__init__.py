"""Style: turns rows of conversations into a LoRA adapter, and judges adapters.

`python -m training` is the program. `spec`, `events`, `dataset`, `manifest`, `checkpoint` and `verdict` need no torch
and are what a gateway imports.
"""

__all__: list[str] = []
