#!/bin/sh
# Renders manual pages to plain text and writes them as a C++ table: help_pages.sh OUTPUT PAGE...
set -eu
output=$1
shift
{
    echo '#include "roles/help_pages.hpp"'
    echo 'namespace fwmail::roles {'
    echo 'namespace {'
    echo 'constexpr HelpPage pages[] = {'
    for page in "$@"; do
        name=$(basename "$page")
        printf '    {"%s",\n' "${name%.*}"
        # String literals have a length limit in some compilers: one for each line, joined by the compiler.
        mandoc -T ascii -O width=100 "$page" | sed -e 's/.\x08//g' -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/     "/' -e 's/$/\\n"/'
        echo '    },'
    done
    echo '};'
    echo '}  // namespace'
    echo 'std::span<const HelpPage> help_pages() { return pages; }'
    echo '}  // namespace fwmail::roles'
} >"$output"
