"""What a GPU makes of this project: the step, trials that share the card, whole searches."""
