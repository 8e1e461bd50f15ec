"""Seatrial: models prove themselves on live traffic before they serve."""

__version__ = "0.1.0"
