# shellcheck shell=sh
# The virtual environment shared by the scripts beside this file, which set "root" and source it.
#
#   SRTRAIN_VENV  where the environment is (default: .venv in the repository)
#   PYTHON        the interpreter to make it with (default: the first of python3.12 ... python3 that will do)
#
# The file srtrain-stamp inside of it is written last and says from which sources and with which extras the
# package was installed. No stamp: the environment is half made, and is made again. A stamp that fits: there
# is nothing to do, and no network is needed.

venv=${SRTRAIN_VENV:-$root/.venv}
case $venv in
/*) ;;
*) venv=$PWD/$venv ;;
esac
stamp=$venv/srtrain-stamp
unset PYTHONHOME # another interpreter's library would be found first

# ensure_environment EXTRA,EXTRA: make the environment, bring it up to date, or do nothing.
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
        say "bringing $venv up to date"
    fi
    rm -f "$stamp"
    (cd "$root" && "$venv/bin/python" -m pip install --disable-pip-version-check --editable ".[$extras]") ||
        fail 1 "pip could not install srtrain into $venv; its last lines above say why. Mend that and run this again."
    printf 'place %s\nsources %s\nextras %s\n' "$venv" "$(sources)" "$extras" >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

# Installed to the end, not moved since, of the version asked for, and its interpreter still finds its packages.
is_ready() {
    [ -f "$stamp" ] && [ "$venv" = "$(sed -n 's/^place //p' "$stamp")" ] || return 1
    if [ -n "${PYTHON:-}" ]; then
        find_python
        [ "${version%.*}" = "$(version_of "$venv/bin/python" | sed 's/\.[^.]*$//')" ] || return 1
    fi
    "$venv/bin/python" -I -c 'from importlib.util import find_spec as has
raise SystemExit(not (has("pip") and has("mindspore") and has("srtrain")))' 2>/dev/null
}

# What an installation depends on: where the sources are and what they declare.
sources() {
    (cd "$root" && echo "$root $(cat setup.cfg pyproject.toml | cksum)")
}

# includes HAVE WANT: every name of one comma-separated list is in the other.
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
        fail 2 "$venv is in use and was not made by this script. Remove it, or name another place: SRTRAIN_VENV=..."
    fi
    say "making $venv with Python $version ($python)"
    "$python" -m venv --clear --prompt srtrain "$venv" || fail 1 "Python could not make the environment $venv."
}

# Only what this script made (its prompt says so), or an environment that does not run, or nothing at all.
may_replace() {
    if [ -f "$venv/pyvenv.cfg" ]; then
        grep -q '^prompt = .*srtrain' "$venv/pyvenv.cfg" || [ -z "$(version_of "$venv/bin/python")" ]
        return
    fi
    for entry in "$venv"/* "$venv"/.[!.]*; do
        case ${entry##*/} in
        bin | include | lib | lib64 | '*' | '.[!.]*') ;; # begun, but killed before its configuration was written
        *) return 1 ;;
        esac
    done
}

# Set python and version, or stop with one sentence: what was found, why it will not do, what to install.
find_python() {
    found=
    if [ -n "${PYTHON:-}" ]; then
        set -- "$PYTHON"
        command -v "$PYTHON" >/dev/null || fail 2 "PYTHON is '$PYTHON', which is no program here. Name another, or none."
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
    fail 2 "found ${found:-no Python at all}, but MindSpore has wheels for Python 3.10, 3.11 and 3.12 only:" \
        "install one of these (on Debian and Ubuntu: apt install python3.11 python3.11-venv) and run this again," \
        "or say where it is: PYTHON=/path/to/python3.11 sh tools/$(basename "$0")"
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
