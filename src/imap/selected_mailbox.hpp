// The selected mailbox as this session's client knows it: which UID each sequence number stands for.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/intervals.hpp"
#include "base/result.hpp"
#include "imap/backend.hpp"
#include "imap/numbered_uids.hpp"
#include "imap/search.hpp"

namespace fwmail::imap {

class SelectedMailbox {
  public:
    SelectedMailbox(std::string name, bool read_only, Selected selected);

    const std::string& name() const { return name_; }
    bool read_only() const { return read_only_; }
    std::uint32_t exists() const { return uids_.count(); }
    Uid last_uid() const { return uids_.last(); }
    std::uint32_t recent() const;
    bool is_recent(Uid uid) const { return recent_.contains(uid.value); }
    const UidSet& recent_uids() const { return recent_; }
    std::optional<SeqNum> seq_of(Uid uid) const { return uids_.number_of(uid); }

    // The UIDs meant by a set of UIDs or of sequence numbers; ranges may cover numbers of no message. A
    // sequence number beyond the last is a protocol error (RFC 9051 9, seq-number), an unknown UID is nothing
    // (6.4.9).
    Result<UidSet> resolve(const SequenceSet& set, bool uids) const;
    // The same for what changes messages: a UID that has been given up, and is named by itself, stands for
    // its successor. Not for what reads: a client that is answered with a UID it has not named takes all
    // below it for what it has.
    Result<UidSet> resolve_to_change(const SequenceSet& set, bool uids) const;
    // Leaves the highest `most` of the messages that are meant, and returns the lowest of these; nothing when
    // all stay.
    std::optional<Uid> keep_highest(UidSet& uids, std::uint64_t most) const;
    // Ranges that each hold `size` messages, from the highest UID down; the last may hold fewer. Of these the
    // ones from `first` on, `count` at most.
    std::vector<UidSet::Interval> batches(std::uint32_t size, std::uint32_t first, std::uint32_t count) const;
    // Sequence sets and RECENT become UID sets. Numbers beyond the last match nothing.
    void resolve(SearchKey& key) const;

    // Takes messages out and returns the sequence numbers to announce, in that order: each counts from what
    // the one before has left (RFC 9051 7.5.1).
    std::vector<SeqNum> expunge(const std::vector<Uid>& uids);
    // Adds messages behind the last; those not above it are ignored. Returns whether any was added.
    bool arrive(const std::vector<Uid>& uids, Uid first_recent);

    // All changes up to here have been told to the client. Never goes back.
    ModSeq highest_modseq() const { return highest_modseq_; }
    void told(ModSeq highest) { highest_modseq_ = std::max(highest_modseq_, highest); }
    void learn_successors(const std::vector<Successor>& successors) {
        for (const auto& successor : successors) successors_[successor.given] = successor.now;
    }
    // What `$` stands for (RFC 5182).
    void save(UidSet found) { saved_ = std::move(found); }
    std::vector<Uid> known_in(const UidSet& set) const {
        return uids_.common(set);
    }  // messages of it that the client knows, ascending

    // All keywords seen here, sorted. learn() returns whether one was new.
    const std::vector<std::string>& keywords() const { return keywords_.keywords; }
    bool learn(const FlagSet& flags);

  private:
    UidSet resolve_uids(const SequenceSet& set) const;

    std::string name_;
    bool read_only_;
    NumberedUids uids_;
    std::map<Uid, Uid> successors_;
    UidSet recent_, saved_;
    ModSeq highest_modseq_;
    FlagSet keywords_;
};

}  // namespace fwmail::imap
