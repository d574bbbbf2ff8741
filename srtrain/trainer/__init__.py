"""The loop, one update, evaluation, checkpoints, and the base classes of devices and precisions."""
