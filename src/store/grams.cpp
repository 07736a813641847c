#include "store/grams.hpp"

#include <sqlite3.h>

#include <algorithm>

#include "store/database.hpp"

namespace fwmail::store {
namespace {

constexpr std::size_t most_grams = 8;  // of one needle: more narrow little and cost time

int create(void*, const char**, int, Fts5Tokenizer** out) {
    static char nothing;  // there is no state, but null would mean failure
    *out = reinterpret_cast<Fts5Tokenizer*>(&nothing);
    return SQLITE_OK;
}
void destroy(Fts5Tokenizer*) {}

int tokenize(Fts5Tokenizer*, void* context, int flags, const char* octets, int size,
             int (*token)(void*, int, const char*, int, int, int)) {
    if (flags & FTS5_TOKENIZE_QUERY) return token(context, 0, octets, size, 0, size);  // a gram already
    int code = SQLITE_OK;
    each_gram(std::string_view(octets, static_cast<std::size_t>(size)),
              [&](std::size_t at, std::size_t length, bool) {
                  auto start = static_cast<int>(at), n = static_cast<int>(length);
                  if (code == SQLITE_OK) code = token(context, 0, octets + at, n, start, start + n);
              });
    return code;
}

std::string quoted(std::string_view gram) {
    std::string out = "\"";
    for (char c : gram) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

}  // namespace

std::string gram_query(std::string_view needle) {
    struct Gram {
        std::size_t at;
        std::string_view text;
    };
    std::vector<Gram> whole;
    std::size_t characters = 0;
    bool unspaced = false;
    each_gram(needle, [&](std::size_t at, std::size_t length, bool is_whole) {
        ++characters;
        unspaced |= is_unspaced(gram_character(needle, at).value);
        if (is_whole) whole.push_back({at, needle.substr(at, length)});
    });
    if (needle.find('\0') != std::string_view::npos) return {};
    if (whole.empty()) return characters == 2 || unspaced ? quoted(needle) + " *" : std::string();
    // Neighbours say nearly the same: those that do not overlap, and the last one; then an even choice.
    std::vector<std::string_view> chosen;
    std::size_t covered = 0;
    for (const auto& gram : whole)
        if (gram.at >= covered || &gram == &whole.back()) {
            chosen.push_back(gram.text);
            covered = gram.at + gram.text.size();
        }
    std::string query;
    std::size_t count = std::min(chosen.size(), most_grams);
    for (std::size_t i = 0; i < count; ++i) {
        if (i) query += " AND ";
        query += quoted(chosen[count < 2 ? 0 : i * (chosen.size() - 1) / (count - 1)]);
    }
    return query;
}

Result<void> register_grams(Database& db) {
    fts5_api* api = nullptr;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db.handle(), "SELECT fts5(?1)", -1, &statement, nullptr) == SQLITE_OK) {
        sqlite3_bind_pointer(statement, 1, static_cast<void*>(&api), "fts5_api_ptr", nullptr);
        sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    fts5_tokenizer grams{create, destroy, tokenize};
    if (!api || api->xCreateTokenizer(api, "fwmail_grams", nullptr, &grams, nullptr) != SQLITE_OK)
        return fail(ErrorKind::internal, "this SQLite has no FTS5");
    return {};
}

}  // namespace fwmail::store
