"""Networks, their blocks, and what is done to their weights."""
