"""From a recipe to live objects. This is the only room that knows both."""
