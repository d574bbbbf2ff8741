"""Weights: read them from our checkpoints or from files of other frameworks, and load them into a network."""
