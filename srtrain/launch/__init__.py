"""Many processes on one run: starting them with MindSpore's msrun, watching them, and HCCL's rank table."""
