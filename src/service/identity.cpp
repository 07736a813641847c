#include "service/identity.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/random.hpp"
#include "base/replace_file.hpp"
#include "crypto/box.hpp"

namespace fwmail::service {
namespace {

constexpr std::size_t master_key_size = 32;
constexpr std::string_view key_place = "node-key";

Result<Secret> read_key_file(const std::filesystem::path& path) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(ErrorKind::usage, "cannot read the master key " + path.string() +
                                          ": run fwmail init, or put the file back");
    struct stat info{};
    std::string octets(master_key_size + 1, '\0');
    ssize_t got = fstat(fd, &info) == 0 ? ::read(fd, octets.data(), octets.size()) : -1;
    ::close(fd);
    octets.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    Secret key(std::move(octets));
    if (key.view().size() != master_key_size)
        return fail(ErrorKind::usage, path.string() + " is not a master key: it must have 32 octets");
    if (info.st_mode & 077)
        return fail(ErrorKind::usage, path.string() + " can be read by others: chmod 600 it");
    return key;
}

}  // namespace

std::string_view role_name(NodeRole role) { return role == NodeRole::core ? "core" : "remote"; }

Result<Secret> load_master_key(const std::filesystem::path& data_dir) {
    if (const char* credentials = std::getenv("CREDENTIALS_DIRECTORY"))
        if (auto path = std::filesystem::path(credentials) / "fwmail-master-key";
            std::filesystem::exists(path))
            return read_key_file(path);
    return read_key_file(data_dir / "master.key");
}

Result<> ensure_master_key(const std::filesystem::path& data_dir) {
    auto path = data_dir / "master.key";
    if (std::filesystem::exists(path)) return {};
    return replace_file(path, Secret(random_octets(master_key_size)).view());
}

Result<> ensure_identity(store::SystemStore& system, const Secret& master_key, NodeRole role,
                         std::string_view host_name, UnixMillis now) {
    if (auto known = TRY(system.setting("node-role"))) {
        if (*known != role_name(role))
            return fail(ErrorKind::usage, "this data-dir belongs to a " + *known + ": choose another one");
        return {};
    }
    auto key = TRY(
        crypto::generate_key("fwmail " + std::string(role_name(role)) + " " + std::string(host_name), now));
    auto octets = TRY(crypto::write_secret_key(key, std::nullopt));
    TRY(system.set_setting("node-key", TRY(crypto::box_seal(master_key, octets.view(), key_place))));
    TRY(system.set_setting("node-id", make_node_id(now).octets()));
    return system.set_setting("node-role", role_name(role));
}

Result<Identity> load_identity(store::SystemStore& system, const Secret& master_key) {
    auto role = TRY(system.setting("node-role"));
    auto id = TRY(system.setting("node-id"));
    auto box = TRY(system.setting("node-key"));
    if (!role || !id || !box)
        return fail(ErrorKind::usage, "this data-dir has no identity yet: run fwmail init");
    Identity identity;
    identity.role = *role == "core" ? NodeRole::core : NodeRole::remote;
    auto node = NodeId::from_octets(*id);
    if (!node) return fail(ErrorKind::internal, "the node's id is damaged");
    identity.id = *node;
    auto octets = crypto::box_open(master_key, *box, key_place);
    if (!octets)
        return fail(ErrorKind::usage,
                    "the master key does not open this data-dir's secrets: put the right master.key back");
    identity.key = TRY(crypto::parse_secret_key(octets->view(), std::nullopt));
    return identity;
}

}  // namespace fwmail::service
