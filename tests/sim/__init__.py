"""A simulated world for the planner: a cluster, a gateway with three proxies, clients and a Prometheus."""
