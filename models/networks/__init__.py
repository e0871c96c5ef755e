"""The networks, and the report's models as data."""
