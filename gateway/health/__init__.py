"""Whether the process lives, whether it can answer, and its figures."""
