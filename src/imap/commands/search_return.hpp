// What SEARCH and SORT answer with: RETURN and its options (RFC 4731, RFC 5267 3), SAVE (RFC 5182), PARTIAL
// (RFC 9394), MODSEQ (RFC 7162 3.1.5).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "imap/session_core.hpp"

namespace fwmail::imap {

struct SearchReturn {
    bool extended = false;  // RETURN stood there: the answer is ESEARCH
    bool min = false, max = false, all = false, count = false, save = false;
    std::optional<Window> window;
    bool window_backwards = false;  // how it was written: the answer repeats it (RFC 9394 3.1)
};
// ["RETURN" SP "(" [option *(SP option)] ")" SP]. An empty list means ALL.
Result<SearchReturn> parse_search_return(Parser& parser);

// Where more messages would be looked at than one command may. A part of what is found can be gone on from, a
// part of an order or of threads cannot (RFC 9738 3.3).
enum class TooMany { cut, refuse };

// Refuses sequence numbers under UIDONLY (RFC 9586 3), by answering; resolves the key, and enables CONDSTORE
// where it asks for MODSEQ. Returns whether the search may go on.
bool prepare_search(SessionCore& core, SearchKey& key, TooMany too_many);

// Messages found, in the order in which they are to be told.
class SearchAnswer {
  public:
    // `name` of the plain answer. `modseqs`: the key asked for MODSEQ.
    SearchAnswer(SearchReturn what, std::string_view name, bool uid, bool modseqs)
        : what_(what), name_(name), uid_(uid), modseqs_(modseqs) {}
    // The reply of a Search or a Sort; the command is answered with it.
    void answer(SessionCore& core, const Reply& reply) const;

  private:
    // A message found, as this session knows it.
    struct Hit {
        Uid uid;
        SeqNum number;
        ModSeq modseq;
    };
    static std::vector<Hit> known(const SessionCore& core, const Found& found);
    std::string number(const Hit& hit) const;
    std::string set(std::span<const Hit> hits) const;
    void plain(SessionCore& core, const std::vector<Hit>& hits) const;
    void extended(SessionCore& core, const std::vector<Hit>& hits) const;
    template <class Take>
    void each_told(std::span<const Hit> all, std::span<const Hit> part, Take take) const;

    SearchReturn what_;
    std::string_view name_;
    bool uid_, modseqs_;
};

}  // namespace fwmail::imap
