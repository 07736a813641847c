// What nodes send each other: frames, single entries, node mail, messages of a dialled line. All of it comes
// from outside before its signature is known, or from a peer that may be damaged.
#include "fuzz/fuzz.hpp"
#include "sync/dialled.hpp"
#include "sync/frame.hpp"
#include "sync/node_mail.hpp"

using namespace fwmail;
using namespace fwmail::fuzz;

namespace {

void try_frame(std::string_view octets) {
    sync::FrameLimits limits;
    limits.octets = 1 << 20;
    limits.meta_octets = 1 << 20;
    auto frame = sync::parse_frame(octets, limits);
    if (!frame) return;
    // Entries grow in memory by what their lists are made of, at most; the limits bound the octets before.
    for (bool compress : {false, true}) {
        auto written = sync::write_frame(*frame, {}, compress);
        require(written.has_value(), "what parse_frame() accepts, write_frame() accepts");
        auto again = sync::parse_frame(*written);
        require(again.has_value() && *again == *frame, "a frame is the same written and read");
    }
    for (const auto& section : frame->sections)
        for (const auto& numbered : section.entries) {
            require(sync::validate(numbered.entry).has_value(), "entries of a frame are valid");
            std::string alone = sync::encode_entry(numbered.entry);
            require(sync::encoded_size(numbered.entry) >= alone.size(), "encoded_size() is an upper bound");
        }
}

void try_entry(std::string_view octets) {
    auto entry = sync::decode_entry(octets);
    if (!entry) return;
    require(sync::validate(*entry).has_value(), "a decoded entry is valid");
    std::string encoded = sync::encode_entry(*entry);
    auto again = sync::decode_entry(encoded);
    require(again.has_value() && *again == *entry, "an entry is the same encoded and decoded");
    require(!sync::entry_name(*entry).empty(), "each entry has a name");
}

void try_mail(std::string_view octets) {
    auto mail = sync::parse_node_mail(octets);
    if (!mail) return;
    require(sync::looks_like_node_mail(octets), "what is node mail looks like it");
    require(mail->content.size() <= octets.size() && mail->hints.size() <= sync::max_hints, "bounded");
    auto built = sync::build_node_mail(*mail);
    if (!built) return;  // addresses that cannot stand in a header
    auto again = sync::parse_node_mail(*built);
    require(again.has_value(), "what is built can be read");
    mail->date = again->date;
    require(*again == *mail, "node mail is the same built and read");
}

void try_line(std::string_view octets) {
    auto message = sync::parse_line_message(octets);
    if (auto* answer = message ? std::get_if<sync::LineAnswer>(&*message) : nullptr)
        require(sync::line_answer_text(answer->text) == answer->text,
                "what is taken for plain is left as it is");
    if (message)
        require(sync::write_line_message(*message) == octets,
                "a message of a line is the same read and written");
    std::string text = sync::line_answer_text(std::string(octets));
    auto answer = sync::parse_line_message(
        sync::write_line_message(sync::LineAnswer{1, sync::LineVerdict::refused, text}));
    require(answer.has_value(), "any text can be made fit for an answer");
}

}  // namespace

FUZZ_TARGET(sync) {
    try_frame(input.text);
    try_entry(input.text);
    try_line(input.text);
    try_mail(input.text);
}
