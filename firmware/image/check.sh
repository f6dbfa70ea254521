#!/usr/bin/env bash
# Asks esptool whether the bootloader and the application in a flash image are images that the chip would start, and whether
# it makes the same image of the parts.
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

# Without the erased flash behind each part, which merge-bin puts there itself.
dd if="$image" of="$parts/table" bs=4096 skip=8 count=1 status=none
dd if="$image" of="$parts/rest" bs=4096 skip=512 status=none
for part in bootloader application; do
    "$(dirname "$esptool")/python" - "$parts/$part" <<'END'
import sys
with open(sys.argv[1], "r+b") as file:
    file.truncate(len(file.read().rstrip(b"\xff")) + 16)
END
done
"$esptool" --chip "$chip" merge-bin --pad-to-size 4MB -o "$parts/merged" \
    0x0 "$parts/bootloader" 0x8000 "$parts/table" 0x10000 "$parts/application" 0x200000 "$parts/rest" >/dev/null
if ! cmp "$image" "$parts/merged"; then
    echo "image-info: esptool's merge-bin makes another image of the parts of $image" >&2
    exit 1
fi
echo "image-info: esptool's merge-bin makes the same of its parts"
