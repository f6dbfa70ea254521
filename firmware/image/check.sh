#!/usr/bin/env bash
# Asks esptool whether the bootloader and the application in a flash image are images that the chip would start.
#   check.sh ESPTOOL CHIP IMAGE.bin
set -euo pipefail

esptool=$1 chip=$2 image=$3
parts=$(mktemp -d)
trap 'rm -rf "$parts"' EXIT
# In sectors of 4 KB, as in partitions.csv; the bootloader ends before the partition table.
dd if="$image" of="$parts/bootloader" bs=4096 count=8 status=none
dd if="$image" of="$parts/application" bs=4096 skip=16 count=496 status=none

for part in bootloader application; do
    report=$("$esptool" --chip "$chip" image-info "$parts/$part")
    # One verdict for the checksum and one for the hash; esptool's exit code is 0 even when they are invalid.
    if [[ $(grep -c '(valid)' <<<"$report") -ne 2 ]]; then
        echo "$report" >&2
        echo "image-info: esptool does not call the $part in $image valid" >&2
        exit 1
    fi
    echo "image-info: $part in $image is valid"
done
