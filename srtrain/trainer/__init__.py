"""The training loop, one update, the contract of hooks, checkpoints, optimizers, schedules and losses."""
