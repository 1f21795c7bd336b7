// SPDX-License-Identifier: MIT
// Looking at locks: one of them, or all of a store; and the removal of what nobody uses.
#include <dirent.h>
#include <sys/file.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "backends/file/file_impl.hpp"
#include "backends/file/inspect.hpp"
#include "core/failure.hpp"
#include "core/key.hpp"
#include "local/parking.hpp"
#include "local/presence.hpp"
#include "local/wait_cells.hpp"
#include "local/steps.hpp"
#include "posix/descriptors.hpp"

namespace sherlock {

bool FileLock::Impl::locked(const Claim&) const {
  file::FileStore& store = *file::FileStore::open(client_, posix::Missing::create);
  return file::held(store, file_name_, store.table().find(hash_));
}

std::optional<Holder> FileLock::Impl::holder(const Claim&) const {
  file::FileStore& store = *file::FileStore::open(client_, posix::Missing::create);
  return file::holder_of(store, file_name_, store.table().find(hash_));
}

std::vector<LockInfo> FileLock::list(const Client& client) {
  return detail::guarded({}, "file", [&] {
    std::vector<LockInfo> locks;
    const auto store = file::FileStore::open(client, posix::Missing::refuse);
    if (!store) return locks;
    store->table().for_each([&](const local::Found& found) {
      const auto text = store->table().text(*found.entry);
      if (!text || text->name.empty() || !found.current()) return;
      LockInfo info{.name = text->name, .ns = text->ns, .key = detail::make_key(text->ns, text->name)};
      info.path = store->path() + "/" + info.key + ".lock";
      info.holder = file::holder_of(*store, info.key + ".lock", found);
      locks.push_back(std::move(info));
    });
    std::sort(locks.begin(), locks.end(), [](const LockInfo& a, const LockInfo& b) { return std::tie(a.ns, a.name) < std::tie(b.ns, b.name); });
    return locks;
  });
}

namespace {

constexpr std::string_view kLockSuffix = ".lock";

// Only what we could have made ourselves is ever removed.
bool is_lock_file(std::string_view name) {
  if (!name.ends_with(kLockSuffix)) return false;
  name.remove_suffix(kLockSuffix.size());
  if (name.size() < 33 || name.size() > 73 || name[name.size() - 33] != '-') return false;
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return std::all_of(name.end() - 32, name.end(), digit);
}

std::vector<std::string> lock_files(const file::FileStore& store) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> directory{opendir(store.path().c_str()), closedir};
  if (!directory) posix::throw_errno("cannot read the directory " + store.path());
  while (const dirent* entry = readdir(directory.get()))
    if (is_lock_file(entry->d_name)) names.emplace_back(entry->d_name);
  return names;
}

// Removes the file while having it locked, so that whoever opened it meanwhile finds out. False: somebody has it.
bool remove_file(const file::FileStore& store, const std::string& name) {
  const posix::LockFd file = posix::LockFd::open(store.directory(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
  if (!file) return errno == ENOENT;
  if (!S_ISREG(file.opened().st_mode) || posix::sys_flock(file.get(), LOCK_EX | LOCK_NB) != 0) return false;
  SHERLOCK_STEP("clean: the file is locked");
  struct stat now;
  if (posix::sys_fstatat(store.directory(), name.c_str(), &now, AT_SYMLINK_NOFOLLOW) != 0 || now.st_ino != file.opened().st_ino) return false;
  return posix::syscalls().unlinkat(store.directory(), name.c_str(), 0) == 0;
}

// As an acquirer would: the gate, the file; then both are gone instead of held.
bool remove_lock(file::FileStore& store, const std::string& name) {
  const auto found = store.table().find(local::KeyHash::of(std::string_view{name}.substr(0, name.size() - kLockSuffix.size())));
  if (!found) return remove_file(store, name);
  std::uint64_t word = found.entry->word.load();
  const local::GateState state = local::gate::state(word);
  if ((state != local::GateState::free && state != local::GateState::reserved) || found.entry->marks.load() != 0) return false;
  // The marks of waiters may be those of the dead, for ever.
  if ((state == local::GateState::reserved || local::gate::flags(word) != 0) && local::WaitCells{store.companion()}.count(found.number) != 0) return false;
  const std::uint64_t mine = local::gate::taken_by(store.companion().presence().me(), word);
  SHERLOCK_STEP("clean: judged");
  if (!found.entry->word.compare_exchange_strong(word, mine | local::gate::flags(word))) return false;
  SHERLOCK_STEP("clean: the gate is taken");
  if (!found.current() || !remove_file(store, name)) {
    local::pass_on(*found.entry, mine);
    return false;
  }
  SHERLOCK_STEP("clean: the file is gone");
  store.table().forget(found, mine);
  return true;
}

}  // namespace

std::size_t FileLock::clean(const Client& client) {
  return detail::guarded({}, "file", [&]() -> std::size_t {
    const auto store = file::FileStore::open(client, posix::Missing::refuse);
    if (!store) return 0;
    std::vector<std::string> names = lock_files(*store);
    // And what is known of files that are gone already.
    store->table().for_each([&](const local::Found& found) {
      const auto text = store->table().text(*found.entry);
      if (!text || text->name.empty()) return;
      std::string name = detail::make_key(text->ns, text->name) + std::string{kLockSuffix};
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
    });
    return static_cast<std::size_t>(std::count_if(names.begin(), names.end(), [&](const std::string& name) { return remove_lock(*store, name); }));
  });
}

}  // namespace sherlock
