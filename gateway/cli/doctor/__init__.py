"""Checks of a machine and of what is installed on it, each with its fix."""

from gateway.cli.doctor.finding import CheckResult, Level

__all__ = ["CheckResult", "Level"]
