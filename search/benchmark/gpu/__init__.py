"""How fast this project is on a GPU: the step, trials that share the GPU, whole searches."""
