"""Recipes: one file per published configuration, a small training and search for a CPU, and the quickstart."""
