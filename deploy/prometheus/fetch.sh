#!/usr/bin/env bash
# Gets prometheus and promtool, which the rules and dashboards are tried with: takes them out of Debian's packages, whose
# signatures apt checks, and installs nothing. Where they are on the PATH there is nothing to do.
#
#   deploy/prometheus/fetch.sh FOLDER
#
# Where they cannot be had, both of them, it says why and ends with 1; the tests that need them are skipped then.

set -euo pipefail
folder=$1
limit=30  # seconds, for a machine without a network

missing() { printf 'no prometheus: %s; the tests that need one are skipped\n' "$*" >&2; exit 1; }

mkdir -p "$folder"
type prometheus promtool &> /dev/null && exit
type apt-get dpkg-deb &> /dev/null || missing "it is not on the PATH, and there is no apt to get it with"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/lists/partial "$work"/cache/archives/partial
apt=(
  timeout "$limit" apt-get -qq -o APT::Sandbox::User="$(id -un)" -o APT::Update::Error-Mode=any
  -o Acquire::Retries=0 -o Acquire::http::Timeout=5
)
own=("${apt[@]}" -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache")

unpack() {
  for package in "$work"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$folder" --strip-components 3 --wildcards './usr/bin/prom*'
  done
}
has() { [[ -x $folder/$1 ]] || { echo "no $1 is in it" >&2; return 1; }; }

# Since trixie, promtool is a package of its own; before, there is none of that name.
get() {
  (cd "$work" && "$@" download prometheus && { "$@" download promtool || true; }) \
    && unpack && has prometheus && has promtool
}
get "${apt[@]}" 2> /dev/null || { "${own[@]}" update && get "${own[@]}"; } 2> "$work/log" \
  || missing "apt cannot get Debian's package ($(head -n 1 "$work/log"))"
