"""The subcommands of ``srtrain``, one file each. They only parse; ``srtrain/cli/main.py`` says what a file has."""
