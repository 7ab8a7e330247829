"""The command line. Each module adds its commands to the one group."""

from warmline.cli import benching, grading, practising, upkeep, users
from warmline.cli.console import main

__all__ = ["benching", "grading", "main", "practising", "upkeep", "users"]
