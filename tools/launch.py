"""Run a recipe in many processes: ``python tools/launch.py -n 8 recipes/edsr_x2.py`` (``srtrain launch``)."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["launch", *sys.argv[1:]]))
