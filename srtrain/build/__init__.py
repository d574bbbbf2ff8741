"""Build live objects from a recipe. No room below this one knows recipes and live objects."""
