"""The search of classifiers of codes: its space, its presets, its command."""
