"""Check this machine, and what its devices compute: the work of ``doctor`` and ``certify``."""
