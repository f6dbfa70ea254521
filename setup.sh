#!/usr/bin/env bash
# Installs the Debian packages named in PACKAGES, if any is missing. Called by `make setup`.
set -euo pipefail

missing=()
for package in ${PACKAGES:?names the packages to install}; do
    status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [[ $status == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "setup: this is no Debian; install what corresponds to: ${missing[*]}" >&2
    exit 1
fi
root=()
[[ $(id -u) -eq 0 ]] || root=(sudo)
echo "setup: installing ${missing[*]}" >&2
# One index that cannot be fetched need not matter; if it does, the install says so.
"${root[@]}" apt-get update -qq || echo "setup: apt-get update failed in part, going on" >&2
"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
