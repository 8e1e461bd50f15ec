"""Input and output with Prometheus, and the presets that say which numbers to ask for."""
