"""Run a command as several processes: start them with MindSpore's msrun, watch them, read HCCL's rank table."""
