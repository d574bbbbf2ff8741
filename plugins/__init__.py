"""The plugins that come with srtrain; each is active only when a recipe or ``--plugin`` names it."""
