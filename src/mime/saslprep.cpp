#include "mime/saslprep.hpp"

#include <unicode/usprep.h>
#include <unicode/ustring.h>

#include <algorithm>
#include <memory>

#include "base/secret.hpp"

namespace fwmail::mime {
namespace {

constexpr std::size_t longest = 4096;  // octets

struct Wiped {
    std::u16string text;
    ~Wiped() { explicit_bzero(text.data(), text.size() * sizeof(char16_t)); }
};

std::unexpected<Error> prohibited() {
    return fail(ErrorKind::protocol, "a name or password holds characters that have no place in it");
}

}  // namespace

Result<std::string> saslprep(std::string_view utf8) {
    if (std::ranges::all_of(utf8, [](char c) { return c >= ' ' && c < 127; })) return std::string(utf8);
    if (utf8.size() > longest) return prohibited();
    UErrorCode error = U_ZERO_ERROR;
    Wiped wide{std::u16string(utf8.size(), u'\0')};
    std::int32_t length = 0;
    u_strFromUTF8(wide.text.data(), static_cast<std::int32_t>(wide.text.size()), &length, utf8.data(),
                  static_cast<std::int32_t>(utf8.size()), &error);
    if (U_FAILURE(error)) return prohibited();
    std::unique_ptr<UStringPrepProfile, decltype(&usprep_close)> profile(
        usprep_openByType(USPREP_RFC4013_SASLPREP, &error), usprep_close);
    if (U_FAILURE(error)) return fail(ErrorKind::internal, "SASLprep's tables are missing");
    // NFKC makes at most 18 UTF-16 units of one (U+FDFA).
    Wiped prepared{std::u16string(static_cast<std::size_t>(length) * 18 + 1, u'\0')};
    std::int32_t count = usprep_prepare(profile.get(), wide.text.data(), length, prepared.text.data(),
                                        static_cast<std::int32_t>(prepared.text.size()),
                                        USPREP_ALLOW_UNASSIGNED, nullptr, &error);
    if (U_FAILURE(error)) return prohibited();
    std::string out(static_cast<std::size_t>(count) * 3, '\0');
    std::int32_t octets = 0;
    u_strToUTF8(out.data(), static_cast<std::int32_t>(out.size()), &octets, prepared.text.data(), count,
                &error);
    if (U_FAILURE(error)) return prohibited();
    out.resize(static_cast<std::size_t>(octets));
    return out;
}

}  // namespace fwmail::mime
