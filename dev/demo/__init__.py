"""`make demo`: five versions of a model on a real cluster under constant traffic, three of them sent back.

    python3 -m dev.demo

Starts with nothing but Python; everything else is installed, built and started on the way, and gone at the end.
"""
