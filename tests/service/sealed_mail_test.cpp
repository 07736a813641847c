// What core seals, the remote serves and the user restores, for every message of the corpus.
#include "service/sealed_mail.hpp"

#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "corpus.hpp"
#include "mime/header.hpp"
#include "mime/structure.hpp"

namespace fwmail::service::test {
namespace {

// Those whose header is no sequence of fields that ends: they travel as attached messages.
const std::set<std::string, std::less<>> whole_ones{"zero_octets", "header_only", "header_unterminated",
                                                    "no_header",   "folding",     "no_colon_line",
                                                    "from_line",   "huge_header", "space_before_colon"};

bool is_whole(std::string_view inner) {
    return inner.find("\r\nFWMail-Restore: whole\r\n") < inner.find("\r\n\r\n") ||
           inner.starts_with("FWMail-Restore: whole\r\n");
}

// The rules of fwmail-sealed-mail(7), read anew.
void check_outer(std::string_view outer, bool minimal) {
    static const std::vector<std::string_view> ordinary_fields{
        "From",       "To",      "Cc",        "Date",         "Message-ID",  "In-Reply-To",
        "References", "Subject", "FWMail-Id", "MIME-Version", "Content-Type"};
    static const std::vector<std::string_view> minimal_fields{"Date", "Subject", "FWMail-Id", "MIME-Version",
                                                              "Content-Type"};
    const auto& allowed = minimal ? minimal_fields : ordinary_fields;
    REQUIRE(outer.ends_with("\r\n\r\n"));
    for (std::size_t at = 0; at < outer.size();) {
        std::size_t end = outer.find("\r\n", at);
        std::string_view line = outer.substr(at, end - at);
        REQUIRE(line.size() <= 998);
        REQUIRE(std::ranges::all_of(line, [](char c) { return (c >= 32 && c < 127) || c == '\t'; }));
        at = end + 2;
    }
    mime::HeaderView view(outer);
    REQUIRE(view.length() == outer.size());
    std::size_t next = 0;
    for (const auto& field : view) {
        auto it = std::find(allowed.begin() + static_cast<std::ptrdiff_t>(next), allowed.end(), field.name);
        INFO(field.name);
        REQUIRE(it != allowed.end());
        next = static_cast<std::size_t>(it - allowed.begin()) + 1;
    }
    CHECK(view.value("Subject") == "...");
    CHECK(view.value("FWMail-Id") == order_of('s').email_id.hex());
    CHECK(view.value("MIME-Version") == "1.0");
}

void check_served(std::string_view served) {
    auto root = mime::parse_structure(served);
    CHECK(root.type + "/" + root.subtype == "multipart/encrypted");
    const auto* protocol = mime::find_parameter(root.parameters, "protocol");
    REQUIRE(protocol);
    CHECK(*protocol == "application/pgp-encrypted");
    REQUIRE(root.children.size() == 2);
    CHECK(root.children[0].subtype == "pgp-encrypted");
    CHECK(served.substr(root.children[0].body.offset, root.children[0].body.length) == "Version: 1\r\n");
    CHECK(root.children[1].type + "/" + root.children[1].subtype == "application/octet-stream");
    CHECK(root.children[0].header.offset ==
          root.body.offset + served.substr(root.body.offset).find("\r\n") + 2);  // no preamble
    CHECK(served.find(canary) == std::string_view::npos);
    std::string_view body = served.substr(root.children[1].body.offset, root.children[1].body.length);
    CHECK(body.starts_with("-----BEGIN PGP MESSAGE-----\r\n\r\n"));
    CHECK(body.ends_with("-----END PGP MESSAGE-----"));
}

// The same tree of parts, with the same octets in its leaves; offsets differ.
void check_same_part(std::string_view left, const mime::Part& a, std::string_view right,
                     const mime::Part& b) {
    REQUIRE(a.type + "/" + a.subtype == b.type + "/" + b.subtype);
    REQUIRE(a.parameters == b.parameters);
    REQUIRE(a.encoding == b.encoding);
    REQUIRE(a.disposition == b.disposition);
    REQUIRE(a.disposition_parameters == b.disposition_parameters);
    REQUIRE(a.children.size() == b.children.size());
    if (a.children.empty())
        REQUIRE((left.substr(a.body.offset, a.body.length) == right.substr(b.body.offset, b.body.length)));
    for (std::size_t i = 0; i < a.children.size(); ++i)
        check_same_part(left, a.children[i], right, b.children[i]);
}

// A mail client that knows nothing of fwmail has decrypted `inner`.
void check_inner(std::string_view name, std::string_view inner, std::string_view original) {
    auto root = mime::parse_structure(inner);
    auto before = mime::parse_structure(original);
    CHECK(root.type + "/" + root.subtype == "multipart/mixed");
    const auto* hp = mime::find_parameter(root.parameters, "hp");
    REQUIRE(hp);
    CHECK(*hp == "cipher");  // RFC 9788 2.1.1
    if (is_whole(inner)) {
        REQUIRE(root.children.size() == 1);
        CHECK(root.children[0].type + "/" + root.children[0].subtype == "message/rfc822");
        // Without an empty line of its own, the one before the delimiter is taken for the header's.
        auto attached = inner.substr(root.children[0].body.offset, root.children[0].body.length);
        CHECK((attached == original || attached == std::string(original) + "\r\n"));
        return;
    }
    REQUIRE(root.envelope);
    REQUIRE(before.envelope);
    CHECK(root.envelope->subject == before.envelope->subject);
    CHECK(root.envelope->from == before.envelope->from);
    CHECK(root.envelope->message_id == before.envelope->message_id);
    // One level more or one part more may be what the parser's limits are about.
    if (name == "multipart_150_levels" || name == "many_parts") return;
    REQUIRE(root.children.size() == 1);
    check_same_part(inner, root.children[0], original, before);
}

}  // namespace

TEST_CASE("every message of the corpus is sealed, served and restored exactly") {
    unsigned seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    REQUIRE(corpus().size() >= 60);
    for (const auto& [name, message] : corpus()) {
        INFO(name);
        auto object = sealed(message);
        CHECK(object.packed.size() == object.info.packed_size);
        check_outer(outer_of(object.packed), false);
        auto out = unpack(object.packed, &random);
        REQUIRE(out.info);
        CHECK(out.info->size == object.info.size);
        CHECK(out.info->sha256 == object.info.sha256);
        CHECK(out.info->packed_size == object.info.packed_size);
        CHECK(out.served.size() == object.info.size);
        CHECK((crypto::sha256(out.served) == object.info.sha256));
        CHECK(out.id == order_of('s').email_id);
        check_served(out.served);
        std::string inner = inner_of(out.served);
        CHECK(is_whole(inner) == whole_ones.contains(name));
        check_inner(name, inner, message);
        auto back = restore(inner, &random);
        REQUIRE(back);
        REQUIRE((*back == message));
    }
}

TEST_CASE("sealing again gives the same octets; seed, date, id and key count") {
    for (const char* name : {"plain_text", "multipart_mixed", "no_header"}) {
        INFO(name);
        const auto& message = corpus().at(name);
        auto first = sealed(message);
        CHECK(sealed(message).packed == first.packed);
        auto served = unpack(first.packed).served;
        CHECK(unpack(sealed(message).packed).served == served);
        // Another seed: other keys, and other boundaries even outside.
        auto other = sealed(message, order_of('t'));
        CHECK(other.packed.size() == first.packed.size());
        CHECK(other.packed != first.packed);
        CHECK(outer_of(other.packed) != outer_of(first.packed));
        CHECK(other.info.sha256 != first.info.sha256);
        auto later = order_of('s');
        later.date = UnixMillis{later.date.value + 1000};
        CHECK(sealed(message, later).packed != first.packed);
        auto renamed = order_of('s');
        renamed.email_id.bytes[15] ^= 1;
        CHECK(sealed(message, renamed).packed != first.packed);
    }
}

TEST_CASE("any date of IMAP can be sealed") {
    for (std::int64_t date :
         {std::int64_t{-62'135'596'800'000}, std::int64_t{0}, std::int64_t{253'402'300'799'999}}) {
        auto order = order_of('s');
        order.date = UnixMillis{date};
        CHECK(seal_mail(source_of(corpus().at("plain_text")), ann().public_key, order,
                        [](std::string_view) -> Result<> { return {}; }));
    }
}

TEST_CASE("minimal: nothing outside tells who writes to whom") {
    for (const auto& [name, message] : corpus()) {
        if (message.size() > 1'000'000) continue;
        INFO(name);
        auto object = sealed(message, order_of('s', OuterHeader::minimal));
        check_outer(outer_of(object.packed), true);
        auto out = unpack(object.packed);
        REQUIRE(out.info);
        auto back = restore(inner_of(out.served));
        REQUIRE(back);
        REQUIRE((*back == message));
    }
}

TEST_CASE("what the source gives wrongly is noticed, and an error of the sink ends the sealing") {
    MessageSource source{1000,
                         [](std::uint64_t, std::size_t) -> Result<std::string> { return "From: a\r\n\r\n"; }};
    auto ignore = [](std::string_view) -> Result<> { return {}; };
    CHECK_FALSE(seal_mail(source, ann().public_key, order_of('s'), ignore));
    source.read = [](std::uint64_t, std::size_t) -> Result<std::string> {
        return fail(ErrorKind::temporary, "the disk is away");
    };
    auto away = seal_mail(source, ann().public_key, order_of('s'), ignore);
    REQUIRE_FALSE(away);
    CHECK(away.error().text == "the disk is away");
    int calls = 0;
    auto full = seal_mail(source_of(corpus().at("plain_text")), ann().public_key, order_of('s'),
                          [&](std::string_view) -> Result<> {
                              ++calls;
                              return fail(ErrorKind::temporary, "the disk is full");
                          });
    REQUIRE_FALSE(full);
    CHECK(full.error().text == "the disk is full");
    CHECK(calls == 1);
}

TEST_CASE("a foreign PGP message has no original to restore") {
    auto key = crypto::test_key('a');
    for (std::string foreign :
         {"Content-Type: text/plain\r\n\r\nhello\r\n",
          "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
          "FWMail-Restore: fields=9; end=crlf; moved=\r\nContent-Type: multipart/mixed; "
          "boundary=\"b\"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
          "FWMail-Restore: fields=0; end=cr; moved=\r\nContent-Type: multipart/mixed; "
          "boundary=\"b\"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
          "FWMail-Restore: fields=0; end=lf; moved=x\r\nContent-Type: multipart/mixed; "
          "boundary=\"b\"\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"}) {
        INFO(foreign);
        auto packets = crypto::seal(foreign, {&key.public_key, 1}, crypto::options_of('f'));
        REQUIRE(packets);
        auto opened = crypto::open(*packets, {&key, 1});
        REQUIRE(opened);
        auto back = restore(opened->plain);
        REQUIRE_FALSE(back);
        CHECK(back.error().kind == ErrorKind::refused);
        CHECK(back.error().text.find("not a message sealed by fwmail") == 0);
    }
    CHECK_FALSE(restore(""));
    CHECK_FALSE(restore("hello"));
    CHECK_FALSE(restore(std::string(2'000'000, 'x')));
    CHECK_FALSE(sealed_packets("Subject: no\r\n\r\nPGP here\r\n"));
    CHECK_FALSE(sealed_packets("-----BEGIN PGP MESSAGE-----\r\n\r\nAAAA\r\n"));
    CHECK_FALSE(sealed_packets("-----END PGP MESSAGE----- -----BEGIN PGP MESSAGE-----"));
}

TEST_CASE("decrypted octets that are cut or damaged restore nothing silently") {
    unsigned seed = std::random_device()();
    CAPTURE(seed);
    std::mt19937 random(seed);
    for (const char* name : {"multipart_mixed", "no_header", "bare_lf", "duplicate_fields"}) {
        const auto& message = corpus().at(name);
        std::string inner = inner_of(unpack(sealed(message).packed).served);
        for (std::size_t length = 0; length < inner.size(); ++length) {
            auto back = restore(std::string_view(inner).substr(0, length));
            CAPTURE(name, length);
            REQUIRE_FALSE(back);
        }
        CHECK_FALSE(restore(inner + "x"));
        for (int i = 0; i < 2000; ++i) {  // no crash; what comes out is not vouched for here
            std::string damaged = inner;
            for (unsigned n = 1 + random() % 4; n > 0; --n) {
                std::size_t at = random() % std::min<std::size_t>(damaged.size(), 2000);
                if (random() % 3 == 0)
                    damaged.erase(at, random() % 20);
                else
                    damaged[at] = static_cast<char>(random());
            }
            (void)restore(damaged, &random);
        }
    }
}

TEST_CASE("a count of kept fields that no header holds is refused") {
    std::string inner = inner_of(unpack(sealed(corpus().at("multipart_mixed")).packed).served);
    auto at = inner.find("fields=") + 7;
    auto end = inner.find(';', at);
    REQUIRE(end < inner.size());
    // Anybody can seal to a public key: near the end of its type a count wraps around when something is
    // added.
    for (const char* count :
         {"18446744073709551615", "18446744073709551614", "18446744073709551613", "5000"}) {
        std::string hostile = inner;
        hostile.replace(at, end - at, count);
        CAPTURE(count);
        CHECK_FALSE(restore(hostile));
    }
}

// --- memory

namespace {

// Grows by `size` octets of mail without holding them.
MessageSource endless(std::uint64_t size) {
    static const std::string head = "From: a@b.test\r\nSubject: large\r\nContent-Type: text/plain\r\n\r\n";
    return {size, [size](std::uint64_t offset, std::size_t length) -> Result<std::string> {
                std::string piece(static_cast<std::size_t>(std::min<std::uint64_t>(length, size - offset)),
                                  'x');
                for (std::size_t i = 0; i < piece.size() && offset + i < head.size(); ++i)
                    piece[i] = head[static_cast<std::size_t>(offset) + i];
                return piece;
            }};
}

long peak_kib() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

// Seals so much in a child; how much its peak grew, in KiB, or less than nothing.
long growth_of(std::uint64_t size) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    malloc_trim(0);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        long before = peak_kib(), grown = -1;
        auto info = seal_mail(endless(size), ann().public_key, order_of('s'),
                              [](std::string_view) -> Result<> { return {}; });
        if (info && info->packed_size > size) grown = peak_kib() - before;
        bool told = write(ends[1], &grown, sizeof grown) == sizeof grown;
        _exit(told ? 0 : 1);
    }
    long grown = -1;
    CHECK(read(ends[0], &grown, sizeof grown) == sizeof grown);
    int status = 0;
    waitpid(child, &status, 0);
    close(ends[0]);
    close(ends[1]);
    CHECK(status == 0);
    return grown;
}

}  // namespace

TEST_CASE("memory does not grow with the message") {
#if __has_feature(address_sanitizer)
    WARN("skipped: the address sanitizer keeps freed memory, so that its peak tells nothing");
#else
    (void)ann();
    long grown = growth_of(100 << 20);
    CHECK(grown >= 0);
    CHECK(grown < 8 * 1024);
#endif
}

}  // namespace fwmail::service::test
