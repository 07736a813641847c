#pragma once

namespace fwmail::roles {
inline constexpr const char* version = FWMAIL_VERSION;
}
