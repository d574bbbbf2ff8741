"""Hooks that show a run to people and programs: console, metrics.jsonl, TensorBoard, sheets of pictures."""
