"""LoRA adapters: judged, imported, named, desired on engines, proven there."""
