"""Train a recipe: ``python tools/run.py recipes/edsr_x3_finetune.py data.root=DIV2K``."""

import sys

from srtrain.cli import main_of
from srtrain.commands.run import add_arguments

if __name__ == "__main__":
    sys.exit(main_of(add_arguments, "Train a recipe."))
