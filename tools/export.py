"""Export a checkpoint: ``python tools/export.py runs/edsr_x2 --to edsr_x2.onnx`` (``srtrain export``)."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["export", *sys.argv[1:]]))
