"""Networks that other software exported: find out how they take their pictures, and convert."""
