"""The command line: `seatrial`, and `kubectl seatrial`."""
