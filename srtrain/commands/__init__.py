"""The subcommands of ``srtrain``, one file each; ``cli.py`` says what such a file has."""
