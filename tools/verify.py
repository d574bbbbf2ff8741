"""Check the scores of a recipe: ``python tools/verify.py RECIPE --weights FILE`` (``srtrain verify``)."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["verify", *sys.argv[1:]]))
