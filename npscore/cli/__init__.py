"""The command line, and what only it needs: the demonstration, the checks, the words of ``--help``."""

from .commands import main

__all__ = ["main"]
