"""Trials that never happen: thousands of them in arrays, and one through the real planner.

`judge` is the judge of shares in arrays, `fleet` the way of many candidates through the steps with it, `world` one trial
driven by `core/plan.py`. Tests hold the three equal. Needs numpy, the extra `simulate`; nothing of the operator imports this.
"""
