#!/bin/sh
# Programs the tests drive that are not Python packages: installed when run as root on Debian or Ubuntu, else named.
set -eu

missing=""
need() { missing="$missing $1"; }

command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || need chromium
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || need postgresql
command -v fc-list >/dev/null && fc-list 2>/dev/null | grep -q 'DejaVu Sans' || need "fontconfig fonts-dejavu-core"
command -v git >/dev/null || need git
command -v stilts >/dev/null || need stilts

[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "pachon: missing on this machine:$missing. Tests that need them are skipped; install them with your package manager (Debian: apt-get install$missing)." >&2
    exit 0
fi

echo "pachon: installing system packages:$missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 -- a list of names
if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 3 "$log" >&2
    echo "pachon: the system packages$missing could not be installed: is a Debian archive reachable?" >&2
    exit 2
fi
