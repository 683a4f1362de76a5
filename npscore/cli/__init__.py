"""The command line, and what only it needs: the demonstration, the checks, the text of ``--help``."""

from .commands import main

__all__ = ["main"]
