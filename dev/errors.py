"""The one error that people see."""

from __future__ import annotations


class DevError(Exception):
    """Something that the person at the keyboard can act on.

    The message is a sentence or two: what failed, and what to do next. The
    command line prints it without a traceback and exits with 1.
    """
