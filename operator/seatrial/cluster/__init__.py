"""Input and output with Kubernetes."""
