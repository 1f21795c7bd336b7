// SPDX-License-Identifier: MIT
// Keys and values of etcd, as its JSON gateway writes them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sherlock::addons::etcd {

std::string to_base64(std::string_view bytes);
// Nothing where it is none.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace sherlock::addons::etcd
