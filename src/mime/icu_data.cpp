// ICU's data, cut down at build time to what charset.cpp and fold.cpp use (cmake/icu_data.sh). ICU looks for
// it under this name, so nothing has to be set, and libicudata.a (30 MB) is not linked.
#include <unicode/utypes.h>

#define TEXT_OF(name) TEXT_OF_EXPANDED(name)
#define TEXT_OF_EXPANDED(name) #name

asm(".pushsection .rodata\n"
    ".balign 16\n"
    ".global " TEXT_OF(U_ICUDATA_ENTRY_POINT) "\n"
    TEXT_OF(U_ICUDATA_ENTRY_POINT) ":\n"
    ".incbin \"" FWMAIL_ICU_DATA "\"\n"
    ".balign 16\n"
    ".popsection\n");
