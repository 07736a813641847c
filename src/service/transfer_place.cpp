#include "service/transfer_place.hpp"

#include "base/encoding.hpp"

namespace fwmail::service {
namespace {

using Kind = TransferPlace::Kind;

constexpr std::pair<std::string_view, Kind> kinds[] = {{"maildir:", Kind::maildir}, {"mboxo:", Kind::mboxo},
                                                       {"mbox:", Kind::mbox},       {"eml:", Kind::eml},
                                                       {"imaps://", Kind::imaps},   {"imap://", Kind::imap}};

Result<std::string> percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        auto octet = hex_decode(text.substr(i + 1, 2));
        if (!octet || octet->size() != 1)
            return fail(ErrorKind::usage, "'%' in a user name wants two digits");
        out += *octet;
        i += 2;
    }
    return out;
}

}  // namespace

std::string TransferPlace::name() const {
    for (auto [word, of] : kinds)
        if (of == kind) return std::string(word) + (is_server() ? user + '@' + server.text() : path);
    return path;
}

Result<TransferPlace> parse_transfer_place(std::string_view text) {
    TransferPlace place;
    for (auto [word, kind] : kinds) {
        if (!text.starts_with(word)) continue;
        place.kind = kind;
        std::string_view rest = text.substr(word.size());
        if (!place.is_server()) {
            if (rest.empty()) return fail(ErrorKind::usage, "a path belongs behind " + std::string(word));
            place.path = rest;
            return place;
        }
        while (rest.ends_with('/')) rest.remove_suffix(1);
        std::size_t at = rest.rfind('@');
        if (at == std::string_view::npos || at == 0 || rest.find('/') != std::string_view::npos)
            return fail(ErrorKind::usage,
                        "a server is given as " + std::string(word) + "USER@HOST or USER@HOST:PORT");
        place.user = TRY(percent_decoded(rest.substr(0, at)));
        std::string host(rest.substr(at + 1));
        bool has_port =
            host.find(':', host.ends_with(']') ? host.size() : host.rfind(']') + 1) != std::string::npos;
        if (!has_port) host += kind == Kind::imaps ? ":993" : ":143";
        place.server = TRY(config::parse_host_port(host));
        return place;
    }
    return fail(ErrorKind::usage,
                "say what kind of place that is: maildir:PATH, mbox:PATH, eml:PATH or imaps://USER@HOST");
}

}  // namespace fwmail::service
