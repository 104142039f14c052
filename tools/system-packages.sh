#!/bin/sh
# Programs the tests drive that are not Python packages: installed when run as root on Debian or Ubuntu, else named.
#
#   tools/system-packages.sh       what the suite drives; it skips the tests of what is missing
#   tools/system-packages.sh q3c   PostgreSQL with q3c, which make bench-tap cannot do without: exit code 2 if missing
set -eu
cd "$(dirname "$0")/.."

stilts=tests/tap/stilts
log=$(mktemp)
trap 'rm -f "$log"' EXIT
missing=""
need() { missing="$missing $1"; }

install_packages() {
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        if [ "$1" = required ]; then
            echo "pachon: this needs$missing: install them with your package manager (Debian: apt-get install$missing)." >&2
            exit 2
        fi
        echo "pachon: missing on this machine:$missing. Tests that need them are skipped; install them with your package manager (Debian: apt-get install$missing)." >&2
        return
    fi
    echo "pachon: installing system packages:$missing"
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 -- a list of names
    if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 3 "$log" >&2
        echo "pachon: the system packages$missing could not be installed: is a Debian archive reachable?" >&2
        exit 2
    fi
}

# Node programs: exactly what a lock file says, in a folder that git ignores, anew only when the lock has changed.
install_node() {
    folder=$1 what=$2 without=$3
    command -v npm >/dev/null || return 0
    cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed" && return
    echo "pachon: installing $what"
    if (cd "$folder" && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error) >"$log" 2>&1; then
        cp "$folder/package-lock.json" "$folder/node_modules/.installed"
    else
        echo "pachon: $what could not be installed; $without ($(tail -n 1 "$log"))." >&2
    fi
}

# Aladin Lite goes into the package as it was published, a file of its own beside its licence (LGPL-3.0-or-later).
place_viewer() {
    published=extensions/pachon-client/node_modules/aladin-lite
    packed=extensions/pachon-client/src/pachon_client/skyview/aladin
    [ -f $published/dist/aladin.js ] || return 0
    mkdir -p $packed
    cp $published/dist/aladin.js $published/COPYING $published/COPYING.LESSER $packed
}

# A newer STILTS than that of Debian 12, one that can log in: pinned packages of a later Debian, unpacked into a folder that
# git ignores. They come from the archives that this machine's apt knows; whichever has a package, its digest is checked.
unpack_stilts() {
    helper=/usr/lib/apt/apt-helper
    { [ -x $helper ] && command -v dpkg >/dev/null; } || return 0
    cmp -s $stilts/packages.txt $stilts/unpacked/.installed && return
    echo "pachon: unpacking STILTS 3.5 for the tests"
    rm -rf $stilts/unpacked
    mkdir $stilts/unpacked
    archives=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | sort -u)
    grep -v '^#' $stilts/packages.txt | while read -r digest path; do
        for archive in $archives none; do
            $helper -qq download-file "$archive/$path" $stilts/unpacked/.package "SHA256:$digest" >"$log" 2>&1 && break
        done
        dpkg -x $stilts/unpacked/.package $stilts/unpacked 2>>"$log" || exit 1
        rm $stilts/unpacked/.package
    done || {
        echo "pachon: STILTS 3.5 could not be unpacked; tests of it are skipped ($(grep . "$log" | tail -n 1))." >&2
        return 0
    }
    cp $stilts/packages.txt $stilts/unpacked/.installed
}
if [ "${1:-}" = q3c ]; then
    ls /usr/share/postgresql/*/extension/q3c.control >/dev/null 2>&1 || need "postgresql postgresql-15-q3c"
    [ -z "$missing" ] || install_packages required
    exit 0
fi

command -v chromium >/dev/null || need chromium
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need postgresql
command -v fc-list >/dev/null && fc-list 2>/dev/null | grep -q 'DejaVu Sans' || need "fontconfig fonts-dejavu-core"
command -v git >/dev/null || need git
command -v stilts >/dev/null || need stilts
command -v npm >/dev/null || need "nodejs npm"

[ -z "$missing" ] || install_packages optional
install_node tests/e2e/proxy "configurable-http-proxy for the tests" "tests of it are skipped"
install_node extensions/pachon-client "the viewer of images for notebooks" "pachon_client.sky says so, and its tests are skipped"
place_viewer
install_node extensions/pachon-lab "what builds the front end of the lab" "the test of its bundle is skipped"
unpack_stilts
# helm, kubectl and the components of Kubernetes, kept in the cache folder of this user for all checkouts.
[ ! -x .venv/bin/python ] || PYTHONPATH=tests .venv/bin/python -m support.cluster.programs || true
