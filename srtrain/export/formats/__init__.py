"""Export formats, one file each: the module ``NAME.py`` writes files that end in ``.NAME``."""

from srtrain.registry import Registry

FORMATS = Registry("export format", __name__, by_file=True)
