#!/bin/sh
# Cuts ICU's data down to the listed items: icu_data.sh AR OBJCOPY ICUPKG LIBICUDATA.a ITEMS OUTPUT-FOLDER
# The package must be called icudt<version>l.dat: its name is part of every item's name.
set -eu
ar=$1 objcopy=$2 icupkg=$3 library=$4 items=$5 folder=$6
rm -rf "$folder"
mkdir -p "$folder/all" "$folder/items"
# The archive holds one object, whose read-only data is the package.
"$ar" p "$library" >"$folder/all/data.o"
object=$("$ar" t "$library" | grep '^icudt.*_dat\.o$')
package=${object%_dat.o}.dat
"$objcopy" -O binary --only-section=.rodata "$folder/all/data.o" "$folder/all/$package"
"$icupkg" -x "$items" -d "$folder/items" "$folder/all/$package"
"$icupkg" -a "$items" -s "$folder/items" new "$folder/$package"
mv "$folder/$package" "$folder/icu.dat"
rm -rf "$folder/all" "$folder/items"
