"""Evaluation: score a network on whole pictures, and show and compare what came out."""
