#!/bin/sh
# Train a small network on the pictures inside the package, on a fresh machine: make the environment, install,
# train, evaluate, draw. Arguments go to tools/run.py:
#
#   sh tools/quickstart.sh
#   sh tools/quickstart.sh train.steps=500    with a value of the recipe changed
#
# Exit code 0 says that the network gained what it should over bicubic. The environment, and the variables
# SRTRAIN_VENV and PYTHON, are explained in environment.sh.
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
. "$root/tools/environment.sh"
ensure_environment cpu
cd "$root"
# The second quickstart replaces the run of the first, unless it is asked to go on with it.
overwrite=--overwrite
for argument; do
    case $argument in
    --resume*) overwrite= ;;
    esac
done
exec "$venv/bin/python" tools/run.py recipes/quickstart.py ${overwrite:+"$overwrite"} "$@"
