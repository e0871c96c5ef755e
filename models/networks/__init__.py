"""The networks, and the models of the seed report as presets."""
