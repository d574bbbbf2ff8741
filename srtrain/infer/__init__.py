"""Inference: open a model, and upscale pictures and videos of any kind and size."""
