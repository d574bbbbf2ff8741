"""Export: write a checkpoint as a file for another runtime, and check the file before it gets its name."""
