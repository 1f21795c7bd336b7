// SPDX-License-Identifier: MIT
#include "registry/plugin_library.hpp"

#include <cxxabi.h>
#include <dlfcn.h>

#include <atomic>
#include <cstdint>
#include <exception>

#include <fmt/format.h>

#include "core/report.hpp"
#include "registry/plugin_note.hpp"

namespace sherlock::detail {
namespace {

constexpr const char* kEntry = "sherlock_plugin_v1";

// The dynamic linker believes that a name it has seen is the library it has loaded by it, without a look at the file; and a descriptor's
// number comes again. So each name is new: the digits of a counter as "/." and "/", which lead nowhere.
std::string new_name(int fd) {
  static std::atomic<std::uint64_t> count{0};
  std::string digits;
  for (std::uint64_t left = ++count; left != 0; left >>= 1) digits += left & 1 ? "/." : "/";
  return fmt::format("/proc/self{}/fd/{}", digits, fd);
}

// What the dynamic linker said, without the name, which nobody knows.
std::string last_error(const std::string& name) {
  const char* const said = dlerror();
  std::string text = said ? said : "the dynamic linker does not say why";
  if (text.starts_with(name + ": ")) text.erase(0, name.size() + 2);
  return printable(text);
}

}  // namespace

PluginLibrary::PluginLibrary(const posix::UniqueFd& file) {
  check_plugin_abi(file.get());
  const std::string name = new_name(file.get());
  handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!handle_) throw PluginRefused{"it cannot be loaded: " + last_error(name)};
}

void PluginLibrary::add_to(Registry& registry) const {
  const auto entry = reinterpret_cast<void (*)(Registry&)>(dlsym(handle_, kEntry));
  if (!entry) throw PluginRefused{fmt::format("it has no function {}: define it with SHERLOCK_PLUGIN of <sherlock/plugin.hpp>", kEntry)};
  try {
    entry(registry);
  } catch (const abi::__forced_unwind&) {  // the thread ends
    throw;
  } catch (const std::exception& e) {
    throw PluginRefused{"it failed as it was to add its backends: " + printable(e.what())};
  } catch (...) {
    throw PluginRefused{"it failed as it was to add its backends, with something that is no std::exception"};
  }
}

}  // namespace sherlock::detail
