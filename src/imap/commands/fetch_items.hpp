// What a FETCH asks for: the items of its list, as the client named them, and its modifiers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "imap/backend.hpp"
#include "imap/parser.hpp"

namespace fwmail::imap {

enum class ItemKind {
    flags,
    internal_date,
    size,
    envelope,
    body,
    bodystructure,
    section,
    email_id,   // RFC 8474
    thread_id,  // likewise; always NIL
    saved_at,   // SAVEDATE (RFC 8514)
    preview,    // RFC 8970
    binary,     // RFC 3516; among the sections
    binary_size,
};

struct Item {
    ItemKind kind;
    std::string label;  // as the response names it
};

struct ItemList {
    std::vector<Item> items;  // in the client's order; sections in the order of `asked.sections`
    FetchItems asked;
    bool uid = false;
    bool modseq = false;
    bool set_seen = false;
};

// RFC 7162 3.1.4.1 and 3.2.6; RFC 9394 3.4.
struct FetchModifiers {
    std::optional<ModSeq> changed_since;
    bool vanished = false;
    std::optional<Window> window;
};

// "ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"
Result<ItemList> parse_fetch_items(Parser& parser);
// "(" modifier *(SP modifier) ")"
Result<FetchModifiers> parse_fetch_modifiers(Parser& parser);

}  // namespace fwmail::imap
