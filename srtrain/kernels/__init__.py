"""Convolutions of our own for CPUs, written in C and built at first use (docs/kernels.md)."""
