"""Score networks on whole pictures; compare the results and show them."""
