#!/bin/sh
# On a fresh machine, create the environment, install srtrain, then train and evaluate a small network on the pictures
# in the package. Arguments are passed to tools/run.py:
#
#   sh tools/quickstart.sh
#   sh tools/quickstart.sh train.steps=500    changes a value of the recipe
#
# The exit code is 0 if the network gained enough over bicubic. environment.sh explains the environment and the
# variables SRTRAIN_VENV and PYTHON.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tools/environment.sh"
ensure_environment cpu
cd "$root"
# A second quickstart replaces the run of the first, unless --resume is given.
overwrite=--overwrite
for argument; do
    case $argument in
    --resume*) overwrite= ;;
    esac
done
exec "$venv/bin/python" tools/run.py recipes/quickstart.py ${overwrite:+"$overwrite"} "$@"
