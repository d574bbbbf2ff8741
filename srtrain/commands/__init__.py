"""The subcommands of ``srtrain``, one file each, with ``add_parser(subparsers)`` and ``run(args) -> int``."""
