"""Warmline: a practice room for empathy."""

__version__ = "0.1.0"
