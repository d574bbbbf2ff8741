"""The search space and the evolution: ask for networks, tell what they scored. Nothing here trains a network."""
