"""The operator's process: watches, queue, settings, endpoints."""
