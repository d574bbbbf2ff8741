"""Devices: the process's backend, precision and cores, its sign of life, and Ctrl-C."""
