#include "corpus.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "support/source_dir.hpp"

namespace fwmail::service::test {

const std::map<std::string, std::string>& corpus() {
    static const std::map<std::string, std::string> messages = [] {
        namespace fs = std::filesystem;
        std::string dir = (fs::temp_directory_path() / "fwmail-messages-XXXXXX").string();
        REQUIRE(mkdtemp(dir.data()) != nullptr);
        std::string command = "python3 " + fwmail::test::source_dir() +
                              "/tests/messages/generate.py --canary " + std::string(canary) + " " + dir;
        REQUIRE(std::system(command.c_str()) == 0);
        std::map<std::string, std::string> out;
        for (const auto& entry : fs::directory_iterator(dir)) {
            std::ifstream file(entry.path(), std::ios::binary);
            out[entry.path().stem().string()] = std::string(std::istreambuf_iterator<char>(file), {});
        }
        fs::remove_all(dir);
        return out;
    }();
    return messages;
}

SealOrder order_of(char seed, OuterHeader outer) {
    SealOrder order;
    order.email_id.bytes.fill(0x5a);
    order.seed.fill(static_cast<std::uint8_t>(seed));
    order.date = crypto::test_time;
    order.outer = outer;
    return order;
}

Sealed sealed(std::string_view message, const SealOrder& order) {
    Sealed out;
    auto info =
        seal_mail(source_of(message), ann().public_key, order, [&](std::string_view piece) -> Result<> {
            out.packed += piece;
            return {};
        });
    if (!info) FAIL(info.error().text);
    out.info = *info;
    return out;
}

Unpacked unpack(std::string_view packed, std::mt19937* random) {
    Unpacked out;
    SealedUnpacker unpacker({ann().public_key.encryption_key_id()}, [&](std::string_view piece) -> Result<> {
        out.served += piece;
        return {};
    });
    Result<> fed;
    auto feed = [&](std::string_view piece) {
        if (fed) fed = unpacker.feed(piece);
    };
    if (random)
        crypto::feed_slices(*random, packed, feed);
    else
        feed(packed);
    out.info = unpacker.finish();
    if (!fed) {
        CHECK_FALSE(out.info);  // an object that was refused midway is not accepted at its end
        out.info = fail(fed.error());
    }
    out.id = unpacker.email_id();
    return out;
}

Result<std::string> restore(std::string_view inner, std::mt19937* random) {
    std::string original;
    Restorer restorer([&](std::string_view piece) -> Result<> {
        original += piece;
        return {};
    });
    Result<> fed;
    auto feed = [&](std::string_view piece) {
        if (fed) fed = restorer.feed(piece);
    };
    if (random)
        crypto::feed_slices(*random, inner, feed);
    else
        feed(inner);
    TRY(std::move(fed));
    TRY(restorer.finish());
    return original;
}

std::string inner_of(std::string_view served) {
    auto packets = sealed_packets(served);
    if (!packets) FAIL(packets.error().text);
    auto opened = crypto::open(*packets, {&ann(), 1});
    if (!opened) FAIL(opened.error().text);
    return std::move(opened->plain);
}

std::string outer_of(std::string_view packed) {
    REQUIRE(packed.size() > 4);
    std::size_t length = 0;
    for (char c : packed.substr(0, 4)) length = length << 8 | static_cast<unsigned char>(c);
    REQUIRE(packed.size() > 4 + length);
    return std::string(packed.substr(4, length));
}

std::string with_outer(std::string_view packed, std::string_view outer) {
    std::string out;
    for (int shift : {24, 16, 8, 0}) out += static_cast<char>(outer.size() >> shift);
    out += outer;
    return out += packed.substr(4 + outer_of(packed).size());
}

}  // namespace fwmail::service::test
