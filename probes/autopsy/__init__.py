"""Why forests and boosting fail on codes: one cause at a time."""
