#!/bin/sh
# Makes .venv hold exactly a pinned set of packages, and this repository's own distributions, editable.
#
#   tools/environment.sh platform   what `make up` runs
#   tools/environment.sh dev        the same, and what the checks and tests need
#
# Does nothing when .venv already is what the requirements say. A problem of the machine is one sentence and exit code 2.
set -eu
cd "$(dirname "$0")/.."

wanted=$1
python=${PYTHON:-python3}
venv=.venv
stamp=$venv/.environment
log=$venv/.environment.log

stop() {
    echo "pachon: $1" >&2
    exit 2
}

# What the environment depends on, as one number: contents, not dates, so that a fresh clone or a checkout is judged right.
fingerprint() {
    {
        cat requirements/bootstrap.txt "requirements/$1.txt" pyproject.toml extensions/*/pyproject.toml tools/environment.sh
        # Files for JupyterLab are copied at installation, not linked.
        find extensions/*/jupyter-config extensions/*/src/*/labextension -type f -exec cksum {} + 2>/dev/null | sort
    } | cksum
}

is_ready() {
    [ -f "$stamp" ] && [ -x $venv/bin/pachon ] && [ "$(cat "$stamp")" = "$1 $(fingerprint "$1") $PWD" ]
}

# The set `dev` holds everything of `platform`.
is_ready "$wanted" && exit 0
[ "$wanted" = platform ] && is_ready dev && exit 0
grep -qs '^dev ' "$stamp" && wanted=dev

# Runs a step quietly; when it fails, says why in one sentence.
step() {
    what=$1
    shift
    if "$@" >"$log" 2>&1; then
        return
    fi
    if grep -qiE 'No space left|Disk quota' "$log"; then
        stop "The disk is full: $what needs about 3 GB of free space."
    elif grep -qiE 'hash(es)? mismatch|do not match the hashes' "$log"; then
        stop "A downloaded package does not match its hash in requirements/; nothing of it was installed (details: $log)."
    elif grep -qiE 'resolve|dns|connect|network|timed? ?out|unreachable|No matching distribution' "$log"; then
        stop "No network: $what needs a package index, and none could be reached (details: $log)."
    fi
    stop "$what failed: $(grep -v '^ *$' "$log" | tail -n 1) (details: $log)"
}

command -v "$python" >/dev/null || stop "There is no '$python': install Python 3.11 or newer, or name one with PYTHON=..."
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "Python 3.11 or newer is needed and $python is $("$python" -c 'import platform; print(platform.python_version())'); name a newer one with PYTHON=..."
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "$python cannot make environments: install its venv module (Debian and Ubuntu: apt-get install python3-venv)."

if ! $venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "pachon: making the environment in $venv"
    rm -rf $venv
    "$python" -m venv $venv || stop "The environment could not be made in $venv: is the disk full, or the folder not writable?"
fi
rm -f "$stamp"

if ! $venv/bin/uv --version 2>/dev/null | grep -qF "$(sed -n 's/^uv==\([0-9.]*\).*/\1/p' requirements/bootstrap.txt)"; then
    echo "pachon: installing the installer"
    step "Installing the installer" $venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --retries 2 \
        --require-hashes --requirement requirements/bootstrap.txt
fi

# A package index that pip was told to use serves uv too.
index=$($venv/bin/python -m pip config get global.index-url 2>/dev/null || true)
export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}" UV_PYTHON_DOWNLOADS=never
[ -n "$UV_DEFAULT_INDEX" ] || unset UV_DEFAULT_INDEX

echo "pachon: installing $(grep -c '^[a-zA-Z]' "requirements/$wanted.txt") pinned packages"
step "Installing the pinned packages" $venv/bin/uv pip sync --quiet --python $venv/bin/python --require-hashes "requirements/$wanted.txt"

for folder in . extensions/pachon-client extensions/pachon-lab; do
    [ -f "$folder/pyproject.toml" ] || continue
    step "Installing $folder" $venv/bin/uv pip install --quiet --no-cache --python $venv/bin/python --no-deps \
        --no-build-isolation --editable "$folder"
done
echo "$wanted $(fingerprint "$wanted") $PWD" >"$stamp"
