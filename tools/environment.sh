# shellcheck shell=sh
# Creates the virtual environment for the scripts in this folder. They set "root" and source this file.
#
#   SRTRAIN_VENV  folder of the environment (default: .venv in the repository)
#   PYTHON        interpreter to create it with (default: the first suitable of python3.12 ... python3)
#
# The file srtrain-stamp in the environment is written last. It records the sources and the extras that were installed.
# If it is missing, the environment is incomplete and is created again. If it is up to date, nothing is installed and no
# network is needed.

venv=${SRTRAIN_VENV:-$root/.venv}
case $venv in
/*) ;;
*) venv=$PWD/$venv ;;
esac
stamp=$venv/srtrain-stamp
unset PYTHONHOME # otherwise Python would use another interpreter's library

# ensure_environment EXTRA,EXTRA: create the environment, update it, or do nothing.
ensure_environment() {
    extras=$1
    if ! is_ready; then
        make_venv
    else
        installed=$(sed -n 's/^extras //p' "$stamp")
        if [ "$(sources)" = "$(sed -n 's/^sources //p' "$stamp")" ] && includes "$installed" "$extras"; then
            return 0
        fi
        extras=$(echo "$installed,$extras" | tr ',' '\n' | sort -u | paste -s -d , -)
        say "updating $venv"
    fi
    rm -f "$stamp"
    (cd "$root" && "$venv/bin/python" -m pip install --disable-pip-version-check --editable ".[$extras]") ||
        fail 1 "pip could not install srtrain into $venv. Fix the error above and run this script again."
    printf 'place %s\nsources %s\nextras %s\n' "$venv" "$(sources)" "$extras" >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

# The environment is complete, was not moved, has the Python version asked for, and finds its packages.
is_ready() {
    [ -f "$stamp" ] && [ "$venv" = "$(sed -n 's/^place //p' "$stamp")" ] || return 1
    if [ -n "${PYTHON:-}" ]; then
        find_python
        [ "${version%.*}" = "$(version_of "$venv/bin/python" | sed 's/\.[^.]*$//')" ] || return 1
    fi
    "$venv/bin/python" -I -c 'from importlib.util import find_spec as has
raise SystemExit(not (has("pip") and has("mindspore") and has("srtrain")))' 2>/dev/null
}

# What an installation depends on: the path of the sources and what they declare.
sources() {
    (cd "$root" && echo "$root $(cat setup.cfg pyproject.toml | cksum)")
}

# includes HAVE WANT: each name in the comma-separated list WANT is in HAVE.
includes() {
    for name in $(echo "$2" | tr ',' ' '); do
        case ,$1, in
        *",$name,"*) ;;
        *) return 1 ;;
        esac
    done
}

make_venv() {
    find_python
    if [ -e "$venv" ] && ! may_replace; then
        fail 2 "$venv exists and was not created by this script. Remove it, or choose another folder with SRTRAIN_VENV=..."
    fi
    say "creating $venv with Python $version ($python)"
    "$python" -m venv --clear --prompt srtrain "$venv" || fail 1 "Python could not create the environment $venv."
}

# Replace only an environment of this script (see its prompt), a broken environment, or an empty folder.
may_replace() {
    if [ -f "$venv/pyvenv.cfg" ]; then
        grep -q '^prompt = .*srtrain' "$venv/pyvenv.cfg" || [ -z "$(version_of "$venv/bin/python")" ]
        return
    fi
    for entry in "$venv"/* "$venv"/.[!.]*; do
        case ${entry##*/} in
        bin | include | lib | lib64 | '*' | '.[!.]*') ;; # creation was interrupted before the configuration was written
        *) return 1 ;;
        esac
    done
}

# Set python and version. If no Python is suitable, say what was found and what to install, and exit.
find_python() {
    found=
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
        command -v "$PYTHON" >/dev/null || fail 2 "PYTHON is '$PYTHON', but there is no such program. Set it to another one, or unset it."
    else
        set -- python3.12 python3.11 python3.10 python3
    fi
    for python; do
        command -v "$python" >/dev/null || continue
        version=$(version_of "$python")
        case $version in
        '') found="$found, $python that does not run" ;;
        3.10.* | 3.11.* | 3.12.*)
            "$python" -c 'import ensurepip, venv' 2>/dev/null && return
            found="$found, $python ($version) without its venv module" ;;
        *) found="$found, $python ($version)" ;;
        esac
    done
    found=${found#, }
    fail 2 "found ${found:-no Python at all}, but MindSpore has wheels for Python 3.10, 3.11 and 3.12 only." \
        "Install one of these (on Debian and Ubuntu: apt install python3.11 python3.11-venv) and run this again," \
        "or give its path: PYTHON=/path/to/python3.11 sh tools/$(basename "$0")"
}

version_of() {
    "$1" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null || true
}

say() {
    echo "$(basename "$0"): $*"
}

fail() {
    code=$1
    shift
    say "$*" >&2
    exit "$code"
}
