"""Decisions, pure: no I/O, no clock, no logging. Same inputs, same bytes."""
