"""Hyperparameter searches with Ray Tune: the only package that imports ray or optuna."""
