"""The work of the commands, one file each. ``srtrain/commands`` parses the arguments that these functions get."""
