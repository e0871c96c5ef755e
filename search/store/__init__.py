"""Where a run folder is kept: a folder or a bucket, its lock, its checkpoints."""
