// What the store keeps of a message beside its octets: computed once, when it arrives.
#pragma once

#include "imap/writer.hpp"
#include "mime/serialize.hpp"
#include "mime/sort_keys.hpp"
#include "mime/structure.hpp"
#include "store/types.hpp"

namespace fwmail::service {

inline store::MessageTexts message_texts(const mime::Part& root) {
    mime::Envelope envelope = root.envelope.value_or(mime::Envelope{});
    return {imap::write_envelope(envelope), imap::write_body(root), imap::write_bodystructure(root),
            mime::write_part(root), mime::write_sort_keys(envelope)};
}

}  // namespace fwmail::service
