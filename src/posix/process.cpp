// SPDX-License-Identifier: MIT
#include "posix/process.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <mutex>
#include <string_view>

#include "posix/syscall.hpp"
#include "posix/unique_fd.hpp"

namespace sherlock::posix {

namespace detail {

namespace {
constinit std::atomic<std::uint64_t> no_page{0};
}
constinit std::atomic<std::uint64_t>* token_page = &no_page;

namespace {

// Where the page cannot be wiped by the kernel, fork's handler does it, which a raw clone escapes.
void make_page() {
  const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* page = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) throw_errno("cannot map a page for the process token");
#ifdef MADV_WIPEONFORK
  const bool wiped = madvise(page, size, MADV_WIPEONFORK) == 0;
#else
  const bool wiped = false;
#endif
  if (!wiped) pthread_atfork(nullptr, nullptr, [] { token_page->store(0, std::memory_order_relaxed); });
  token_page = new (page) std::atomic<std::uint64_t>{0};
}

std::uint64_t random64() {
  for (;;) {
    std::uint64_t number = 0;
    const ssize_t got = getrandom(&number, sizeof number, 0);
    if (got == sizeof number && number != 0 && number != ~std::uint64_t{0}) return number;
    if (got < 0 && errno != EINTR) throw_errno("getrandom");
  }
}

}  // namespace

std::uint64_t draw_token() {
  static std::once_flag once;
  std::call_once(once, make_page);
  std::uint64_t token = 0;
  const std::uint64_t fresh = random64();
  return token_page->compare_exchange_strong(token, fresh) ? fresh : token;
}

namespace {
// Drawn while the program is loaded, before there can be a second thread: the page pointer is a plain variable.
[[maybe_unused]] const std::uint64_t drawn_at_start = draw_token();
}  // namespace

}  // namespace detail

namespace {

std::string read_small_file(const char* path) {
  UniqueFd fd{sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC)};
  if (!fd) throw_errno(std::string{"cannot open "} + path);
  char text[256];
  const ssize_t got = ::read(fd.get(), text, sizeof text);
  if (got < 0) throw_errno(std::string{"cannot read "} + path);
  return {text, static_cast<std::size_t>(got)};
}

}  // namespace

void leave_to_parent(const void* object) {
  struct Left {
    const void* object;
    Left* next;
  };
  static std::atomic<Left*> all{nullptr};
  auto* left = new Left{object, all.load()};
  while (!all.compare_exchange_weak(left->next, left)) {
  }
}

BootId boot_id() {
  const char* path = "/proc/sys/kernel/random/boot_id";
  const std::string text = read_small_file(path);
  BootId bytes{};
  std::size_t nibbles = 0;
  for (char c : text) {
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0 || nibbles == 32) continue;
    bytes[nibbles / 2] = static_cast<std::uint8_t>(bytes[nibbles / 2] << 4 | digit);
    ++nibbles;
  }
  if (nibbles != 32) {
    errno = EINVAL;
    throw_errno(std::string{path} + " holds no boot id");
  }
  return bytes;
}

std::uint64_t namespace_id(const char* kind) {
  struct stat st;
  const std::string path = std::string{"/proc/self/ns/"} + kind;
  return sys_fstatat(AT_FDCWD, path.c_str(), &st, 0) == 0 ? st.st_ino : 0;
}

std::string program_name() { return program_invocation_short_name; }

std::string host_name() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "";
}

}  // namespace sherlock::posix
