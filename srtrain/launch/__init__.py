"""Run a command as several processes: start and watch them, read HCCL's rank table."""
