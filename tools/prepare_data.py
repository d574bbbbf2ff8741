"""Unpack, check, downscale and cache pictures: ``python tools/prepare_data.py check set5`` (``srtrain data``)."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["data", *sys.argv[1:]]))
