"""Recipes: one file per configuration of a paper, and a quick start."""
