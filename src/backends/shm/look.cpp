// SPDX-License-Identifier: MIT
// Looking at locks: one of them, or all of a segment; and forgetting those that nobody uses.
#include <algorithm>
#include <string>
#include <tuple>

#include <sherlock/clock.hpp>

#include "backends/shm/shm_impl.hpp"
#include "core/failure.hpp"
#include "core/key.hpp"
#include "local/facts.hpp"
#include "local/fence.hpp"
#include "local/presence.hpp"
#include "local/wait_cells.hpp"

namespace sherlock {

using local::GateState;
namespace gate = local::gate;

namespace {

// A lock on its way from one of ours to the next counts as held, unless the next has died.
bool is_held(shm::ShmStore& store, const local::Found& found, std::uint64_t word) {
  const GateState state = gate::state(word);
  const local::Presence& presence = store.companion().presence();
  if (state == GateState::free) return false;
  if (state == GateState::reserved)
    return (word & gate::kHeir) && presence.alive(local::Identity::unpack(static_cast<std::uint32_t>(found.entry->heir_id.load())));
  if (!presence.alive(word)) return false;
  return state == GateState::held && !local::expired(*found.entry, word, clock().boottime());
}

std::optional<Holder> holder_of(shm::ShmStore& store, const local::Found& found) {
  if (!found) return std::nullopt;
  for (int round = 0;; ++round) {
    const std::uint64_t word = found.entry->word.load();
    if (!is_held(store, found, word)) return std::nullopt;
    Holder holder = local::facts_of(store.companion(), store.table(), found, word);
    if (holder.fence) holder.fence = local::fence_of(found.entry->fence.load(), gate::tag(word));
    holder.waiting = local::WaitCells{store.companion()}.count(found.number);
    // Facts of two holders must not be mixed; if they change all the time, any of them will do.
    if (round >= 10 || gate::core(found.entry->word.load()) == gate::core(word)) return holder;
  }
}

}  // namespace

bool ShmLock::Impl::locked(const Claim&) const {
  shm::ShmStore& store = *shm::ShmStore::open(client_, posix::Missing::create);
  const local::Found found = store.table().find(hash_);
  return found && is_held(store, found, found.entry->word.load());
}

std::optional<Holder> ShmLock::Impl::holder(const Claim&) const {
  shm::ShmStore& store = *shm::ShmStore::open(client_, posix::Missing::create);
  return holder_of(store, store.table().find(hash_));
}

std::vector<LockInfo> ShmLock::list(const Client& client) {
  return detail::guarded({}, "shm", [&] {
    std::vector<LockInfo> locks;
    const auto store = shm::ShmStore::open(client, posix::Missing::refuse);
    if (!store) return locks;
    store->table().for_each([&](const local::Found& found) {
      const auto text = store->table().text(*found.entry);
      if (!text || text->name.empty() || !found.current()) return;
      LockInfo info{.name = text->name, .ns = text->ns, .key = detail::make_key(text->ns, text->name)};
      info.holder = holder_of(*store, found);
      locks.push_back(std::move(info));
    });
    std::sort(locks.begin(), locks.end(), [](const LockInfo& a, const LockInfo& b) { return std::tie(a.ns, a.name) < std::tie(b.ns, b.name); });
    return locks;
  });
}

std::size_t ShmLock::clean(const Client& client) {
  return detail::guarded({}, "shm", [&]() -> std::size_t {
    const auto store = shm::ShmStore::open(client, posix::Missing::refuse);
    std::size_t forgotten = 0;
    if (store) store->table().for_each([&](const local::Found& found) { forgotten += store->table().forget_unused(found); });
    return forgotten;
  });
}

}  // namespace sherlock
