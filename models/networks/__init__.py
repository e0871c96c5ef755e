"""The networks, and the models of the report as presets."""
