"""The search of classifiers of images: its space, its presets, its command."""
