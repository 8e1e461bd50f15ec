"""The resource: models, rules and the generated definition."""
