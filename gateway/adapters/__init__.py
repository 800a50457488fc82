"""LoRA adapters: judged, imported, named, wanted on engines, proven there."""
