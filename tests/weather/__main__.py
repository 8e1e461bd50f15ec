"""`python -m tests.weather --seed 7 --duration 1h`, or `--voyage 7000123` for one of them alone."""

from __future__ import annotations

import argparse

from seatrial.api.base import parse_duration
from tests.weather.soak import main

parser = argparse.ArgumentParser(prog="python -m tests.weather", description="A soak of the planner in foul weather.")
parser.add_argument("--seed", type=int, default=7, help="the first digits of all voyages of this run")
parser.add_argument("--duration", default="1h", help="such as 90s, 10m or 1h")
parser.add_argument("--voyage", type=int, help="sail the voyage of this number alone, and tell all of it")
asked = parser.parse_args()
main(asked.seed, parse_duration(asked.duration).total_seconds(), asked.voyage)
