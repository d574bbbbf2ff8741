"""Train a recipe: ``python tools/run.py recipes/edsr_x3_finetune.py data.root=DIV2K`` (``srtrain run``)."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["run", *sys.argv[1:]]))
