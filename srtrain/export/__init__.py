"""Export: write a checkpoint as a file for another runtime, and check that file before anybody gets it."""
