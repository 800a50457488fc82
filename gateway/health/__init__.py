"""Health: the process lives, its parts are ready, and its figures."""
