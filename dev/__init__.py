"""The local cluster: a real Kubernetes node for tests, benchmarks and the demo.

Standard library only, because this runs before anything is installed. Start
with ``python3 -m dev --help``; `dev/README.md` tells the rest.
"""
