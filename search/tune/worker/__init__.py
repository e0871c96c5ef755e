"""What runs in a worker process: the epochs of a trial, alone or beside others on one GPU."""
