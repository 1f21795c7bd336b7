// SPDX-License-Identifier: MIT
#include "registry/plugin_library.hpp"

#include <cxxabi.h>
#include <dlfcn.h>
#include <link.h>

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

// Whether the program was started by a dynamic linker. One that is static as a whole has a C library inside, and a plug-in would bring another:
// dlopen() does that, and the process dies of it.
bool has_dynamic_linker() {
  bool found = false;
  dl_iterate_phdr(
      [](dl_phdr_info* program, std::size_t, void* answer) {
        for (std::size_t i = 0; i < program->dlpi_phnum; ++i)
          if (program->dlpi_phdr[i].p_type == PT_INTERP) *static_cast<bool*>(answer) = true;
        return 1;  // the first is the program: no more
      },
      &found);
  return found;
}

}  // namespace

PluginLibrary::PluginLibrary(const posix::UniqueFd& file) {
  check_plugin_abi(file.get());
  if (!has_dynamic_linker()) throw PluginRefused{"this program is linked statically as a whole: link it to the C library as usual"};
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
