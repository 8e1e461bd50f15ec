"""I/O with Kubernetes: read into `Observed`, write what a `Plan` says, nothing decided here."""
