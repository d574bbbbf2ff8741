"""``python -m srtrain.cli`` runs the same program as the command ``srtrain``."""

import sys

from srtrain.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
