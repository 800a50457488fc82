"""Style: LoRA adapters, trained on rows of conversations, and the verdict on adapters of any origin.

`python -m training` is the program. A gateway imports the modules that need no torch: `spec`, `dataset`,
`rendered_rows`, `events`, `manifest`, `checkpoint` and `verdict`.
"""

__all__: list[str] = []
