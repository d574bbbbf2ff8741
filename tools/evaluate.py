"""Score models on benchmarks: ``python tools/evaluate.py runs/a --sets set5 --root data`` (``srtrain evaluate``)."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
