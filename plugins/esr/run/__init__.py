"""The search inside a run: train and score candidates on one or more ranks, remember them, publish the results."""
