#include "service/link_token.hpp"

#include "base/encoding.hpp"
#include "crypto/hash.hpp"
#include "crypto/openpgp_key.hpp"
#include "service/link_table.hpp"
#include "sync/wire.hpp"

namespace fwmail::service {
namespace {

constexpr std::string_view prefix = "fwmail1-";
constexpr std::size_t checksum_size = 4;

void put(std::string& out, std::string_view octets) {
    out += static_cast<char>(octets.size());  // all parts are below 256 octets
    out += octets;
}

std::optional<std::string> take(std::string_view& in) {
    if (in.empty()) return std::nullopt;
    auto size = static_cast<unsigned char>(in[0]);
    if (in.size() < 1u + size) return std::nullopt;
    std::string part(in.substr(1, size));
    in.remove_prefix(1u + size);
    return part;
}

std::string checksum(std::string_view octets) {
    auto digest = crypto::sha256(octets);
    return std::string(crypto::view_of(digest).substr(0, checksum_size));
}

}  // namespace

std::string write_link_token(const LinkToken& token) {
    std::string out(1, token.answer ? 'A' : 'I');
    for (std::string_view part :
         {std::string_view(token.role), token.node.octets(), std::string_view(token.key),
          std::string_view(token.address), std::string_view(token.next_hop), token.nonce.octets()})
        put(out, part.substr(0, 255));
    put(out, epoch_octets(token.epoch));
    out += checksum(out);
    return std::string(prefix) + base64url_encode(out);
}

Result<LinkToken> parse_link_token(std::string_view text) {
    auto bad = [] {
        return fail(ErrorKind::usage, "this is not a whole link token: copy it once more, all of it");
    };
    if (!text.starts_with(prefix) || text.size() > 4096) return bad();
    auto octets = base64url_decode(text.substr(prefix.size()));
    if (!octets || octets->size() < 1 + checksum_size) return bad();
    std::string_view in = std::string_view(*octets).substr(0, octets->size() - checksum_size);
    if (!std::string_view(*octets).ends_with(checksum(in)) || (in[0] != 'A' && in[0] != 'I')) return bad();
    LinkToken token;
    token.answer = in[0] == 'A';
    in.remove_prefix(1);
    auto role = take(in), node = take(in), key = take(in), address = take(in), next_hop = take(in),
         nonce = take(in), epoch = take(in);
    if (!role || !node || !key || !address || !next_hop || !nonce || !epoch) return bad();
    auto id = NodeId::from_octets(*node), number = NodeId::from_octets(*nonce);
    if (!id || !number || key->size() != crypto::compact_key_size || (*role != "core" && *role != "remote"))
        return bad();
    token.role = *role;
    token.node = *id;
    token.key = *key;
    token.address = *address;
    token.next_hop = *next_hop;
    token.nonce = *number;
    token.epoch = epoch_from_octets(*epoch);
    if (token.epoch.is_none()) return bad();
    return token;
}

}  // namespace fwmail::service
