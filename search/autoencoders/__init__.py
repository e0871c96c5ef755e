"""The search of autoencoders: its space, its presets, its command."""
