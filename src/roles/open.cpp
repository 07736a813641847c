// fwmail open: a sealed message in, the octets that were delivered out.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "crypto/armor.hpp"
#include "crypto/openpgp_message.hpp"
#include "roles/client.hpp"
#include "service/sealed_mail.hpp"

namespace fwmail::roles {
namespace {

Result<std::string> read_all(const std::string& path) {
    if (path.empty() || path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
    std::ifstream file(path, std::ios::binary);
    if (!file) return fail(ErrorKind::usage, "cannot read " + path);
    return std::string(std::istreambuf_iterator<char>(file), {});
}

Result<crypto::SecretKey> read_key(const std::string& path, const std::string& passphrase_file,
                                   bool message_on_input) {
    if (path.empty())
        return fail(ErrorKind::usage,
                    "say which key opens it: --key-file FILE, from fwmail key export --secret");
    std::string octets = TRY(read_all(path));
    if (crypto::looks_armored(octets)) octets = TRY(crypto::dearmor(octets)).octets;
    auto key = crypto::parse_secret_key(octets, std::nullopt);
    if (!key && key.error().kind == ErrorKind::refused) {
        if (message_on_input && passphrase_file.empty())
            return fail(ErrorKind::usage,
                        "the key has a passphrase, and standard input is the message: give the passphrase "
                        "with --passphrase-file, or name the message's file");
        auto passphrase = TRY(read_secret(passphrase_file, "Passphrase of the key", false));
        key = crypto::parse_secret_key(octets, passphrase);
    }
    wipe(octets);
    return key;
}

Result<> write_out(const std::string& path, std::string_view octets) {
    FILE* file = stdout;
    if (!path.empty()) {  // it is mail that was sealed: for the user alone
        int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        file = fd < 0 ? nullptr : ::fdopen(fd, "wb");
    }
    if (!file) return fail(ErrorKind::usage, "cannot write " + path);
    bool good = std::fwrite(octets.data(), 1, octets.size(), file) == octets.size();
    good = (file == stdout ? std::fflush(file) : std::fclose(file)) == 0 && good;
    if (!good) return fail(ErrorKind::temporary, "writing failed: is the disk full?");
    return {};
}

// Nothing comes out before the whole has been proved unaltered.
Result<> open_message(const Arguments& arguments) {
    auto words = TRY(parse_words(arguments, {"key-file", "passphrase-file", "output"}, {"inner"}));
    if (words.positional.size() > 1) return fail(ErrorKind::usage, "one message at a time");
    std::string source = words.positional.empty() ? "-" : words.positional[0];
    auto key = TRY(read_key(words.option("key-file"), words.option("passphrase-file"), source == "-"));
    std::string served = TRY(read_all(source));
    std::string packets = TRY(service::sealed_packets(served));
    auto opened = TRY(crypto::open(packets, {&key, 1}));
    if (words.has("inner")) return write_out(words.option("output"), opened.plain);
    std::string original;
    service::Restorer restorer([&](std::string_view octets) -> Result<> {
        original += octets;
        return {};
    });
    TRY(restorer.feed(opened.plain));
    TRY(restorer.finish());
    return write_out(words.option("output"), original);
}

}  // namespace

int run_open(const Arguments& arguments) {
    auto result = open_message(arguments);
    return result ? exit_success : report("open", result.error());
}

}  // namespace fwmail::roles
