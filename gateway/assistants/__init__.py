"""Assistants: their releases, and which release gets which share of the traffic."""
