"""Desired objects, pure: plain dicts, fully written out so that they compare with what is stored."""
