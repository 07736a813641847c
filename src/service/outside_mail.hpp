// At a remote: a message that a client appends. It stays in memory until it is sealed: nothing that can be
// read touches the disk.
#pragma once

#include "base/secret.hpp"
#include "service/home.hpp"
#include "service/node.hpp"
#include "service/sealed_mail.hpp"

namespace fwmail::service {

class OutsideMail {
  public:
    explicit OutsideMail(Node& node) : node_(&node) {}
    OutsideMail(OutsideMail&& other) noexcept;
    OutsideMail& operator=(OutsideMail&&) = delete;
    ~OutsideMail();

    void feed(std::string_view octets);
    // All of it. Refused, [LIMIT], when it was too large, or too much is being appended.
    Result<Secret> take();

  private:
    void give_back();

    Node* node_;
    std::string octets_;
    std::size_t counted_ = 0;
    bool too_much_ = false;
};

// What is stored of it, and what goes home.
struct OutsideObjects {
    std::string served;  // under sealed_object_id() of its hash
    store::MessageTexts texts;
    store::Seal seal;
    sync::AppendRequestEntry request;  // without mailbox, number, date and flags
    std::optional<std::string> home;   // nothing: the object itself goes home
};
// Refused, [CANNOT]: it is neither sealed nor may be sealed here. `core`: whom plain mail is sealed to; null:
// plain mail is not taken.
Result<OutsideObjects> make_outside_objects(std::string_view mail, EmailId email, UnixMillis date,
                                            const std::vector<crypto::KeyId>& allowed,
                                            const crypto::PublicKey* user, const crypto::PublicKey* core);

}  // namespace fwmail::service
