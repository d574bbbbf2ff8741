"""Convert weights: ``python tools/convert.py edsr-pytorch EDSR_x2.pt --to weights/x2`` (``srtrain convert``)."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["convert", *sys.argv[1:]]))
