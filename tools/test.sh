#!/bin/sh
# Run every test on a fresh machine: make the environment, install, test. Arguments go to pytest:
#
#   sh tools/test.sh                          everything
#   sh tools/test.sh -m "not slow"            what takes less than two seconds each
#   sh tools/test.sh tests/unit -k psnr -x    whatever pytest understands; paths begin at the repository
#   sh tools/test.sh -n 0 --pdb FILE          in this process alone, for a debugger
#
# There is one worker for each core, and each file runs on one worker (docs/testing.md).
# The environment, and the variables SRTRAIN_VENV and PYTHON, are explained in environment.sh.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tools/environment.sh"
ensure_environment cpu,dev,test
cd "$root"
exec "$venv/bin/python" -m pytest -n auto --dist loadfile --no-loadscope-reorder "$@"
