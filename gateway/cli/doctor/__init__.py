"""Checks of a machine and of what is installed on it, each with its fix."""

from gateway.cli.doctor.finding import Finding, Level

__all__ = ["Finding", "Level"]
