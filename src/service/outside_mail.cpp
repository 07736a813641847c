#include "service/outside_mail.hpp"

#include "service/foreign_sealed.hpp"
#include "service/imap_refusal.hpp"
#include "service/message_texts.hpp"
#include "service/poller.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t most_appended = 3 * largest_appended;  // on all connections

}  // namespace

OutsideMail::OutsideMail(OutsideMail&& other) noexcept
    : node_(other.node_),
      octets_(std::move(other.octets_)),
      counted_(std::exchange(other.counted_, 0)),
      too_much_(other.too_much_) {}

OutsideMail::~OutsideMail() { give_back(); }

void OutsideMail::give_back() {
    wipe(octets_);
    octets_ = {};
    node_->append_octets -= std::exchange(counted_, 0);
}

void OutsideMail::feed(std::string_view octets) {
    if (too_much_) return;
    counted_ += octets.size();
    too_much_ = (node_->append_octets += octets.size()) > most_appended ||
                octets_.size() + octets.size() > largest_appended;
    if (too_much_) return give_back();
    if (octets_.capacity() < octets_.size() + octets.size()) {  // grown by itself, it would leave copies
        std::string larger;
        larger.reserve(std::max<std::size_t>(2 * octets_.capacity(), octets_.size() + octets.size()));
        larger += octets_;
        wipe(octets_);
        octets_ = std::move(larger);
    }
    octets_ += octets;
}

Result<Secret> OutsideMail::take() {
    if (too_much_)
        return fail(
            coded(ErrorKind::refused, "LIMIT",
                  "What is appended here must be below 64 MiB, and not too much at one time: save it at the "
                  "core server"));
    Secret mail(std::move(octets_));
    give_back();
    return mail;
}

Result<OutsideObjects> make_outside_objects(std::string_view mail, EmailId email, UnixMillis date,
                                            const std::vector<crypto::KeyId>& allowed,
                                            const crypto::PublicKey* user, const crypto::PublicKey* core) {
    OutsideObjects out;
    out.request.email = email;
    auto sealed = check_foreign_sealed(mail, allowed);
    if (!sealed && !core)
        return fail(
            coded(ErrorKind::refused, "CANNOT",
                  "This server takes sealed mail only, and this is not (" + sealed.error().text +
                      "): let your program encrypt it to your own key, save it at the core server, or "
                      "have accept-plain set"));
    std::uint64_t size = 0;
    if (sealed) {
        out.served = mail;
        out.request.kind = sync::AppendRequestEntry::sealed;
        size = size_as_it_is(mail.size());
    } else {
        if (!user)
            return fail(coded(ErrorKind::refused, "CANNOT", "There is no key here to seal your mail to"));
        Octets32 seed;
        fill_random(seed);
        store::Message message;
        message.email_id = email;
        message.date = date;
        out.request.kind = sync::AppendRequestEntry::plain;
        out.request.recipe = seal_recipe(seed, OuterHeader::ordinary, *user);
        std::string packed;
        TRY(seal_message(message, out.request.recipe, {user, 1}, source_of(mail),
                         [&](std::string_view octets) -> Result<> {
                             packed += octets;
                             return {};
                         }));
        SealedUnpacker unpacker(allowed, [&](std::string_view octets) -> Result<> {
            out.served += octets;
            return {};
        });
        TRY(unpacker.feed(packed));
        TRY(unpacker.finish());
        crypto::SealOptions options;
        options.seed = Secret(random_octets(crypto::seed_size));
        options.date = date;
        out.home = TRY(crypto::seal(mail, {core, 1}, std::move(options)));
        size = out.home->size();
    }
    out.request.size = size;
    out.request.sealed_size = out.served.size();
    out.request.sealed_sha256 = crypto::sha256(out.served);
    out.texts = message_texts(out.served);
    out.seal = {sealed ? std::string() : out.request.recipe, out.served.size(),
                std::string(crypto::view_of(out.request.sealed_sha256)), store::SealState::sealed, ""};
    return out;
}

}  // namespace fwmail::service
