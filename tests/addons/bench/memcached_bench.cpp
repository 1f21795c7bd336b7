// SPDX-License-Identifier: MIT
#include <libmemcached/memcached.h>

#include <sherlock/addons/memcached_lock.hpp>

#include "addons/bench/addon_bench.hpp"
#include "addons/memcached/record.hpp"
#include "addons/support/memcached_server.hpp"

namespace {

constexpr const char* kNote = R"({"host":"bench","label":"memcached_bench","name":"bare","pid":1234567,"program":"memcached_bench","uid":1000})";
constexpr std::string_view kKey = "sherlock:bare-0123456789abcdef0123456789abcdef";

// The same items on the same kind of connection, through libmemcached alone: a conditional write, and a read that tells the number for the next condition.
class Bare {
 public:
  explicit Bare(const std::string& socket) {
    memcached_behavior_set(client_, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
    must(memcached_server_add_unix_socket(client_, socket.c_str()));
    must(memcached_set(client_, kKey.data(), kKey.size(), "x", 1, 0, 0));
    look();
  }
  ~Bare() { memcached_free(client_); }
  Bare(const Bare&) = delete;
  Bare& operator=(const Bare&) = delete;

  void write(bool held) {
    const std::string text = encode(sherlock::addons::memcached::Record{.owner = "0123456789abcdef0123456789abcdef", .held = held, .fence = 1764064465000000000u,
                                                                        .ttl = std::chrono::milliseconds{66667}, .since = 1764064465000, .note = kNote});
    must(memcached_cas(client_, kKey.data(), kKey.size(), text.data(), text.size(), 127, 0, cas_));
    look();
  }
  void look() {
    const char* const keys[] = {kKey.data()};
    const std::size_t sizes[] = {kKey.size()};
    must(memcached_mget(client_, keys, sizes, 1));
    memcached_return_t why;
    while (memcached_result_st* const result = memcached_fetch_result(client_, nullptr, &why)) {
      cas_ = memcached_result_cas(result);
      memcached_result_free(result);
    }
  }

 private:
  static void must(memcached_return_t said) {
    if (said != MEMCACHED_SUCCESS) throw std::runtime_error{"the bare client failed"};
  }
  memcached_st* const client_ = memcached_create(nullptr);
  std::uint64_t cas_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  REQUIRE_SERVER_OR(support::MemcachedServer, 0);
  const support::MemcachedServer server;
  Bare bare{server.socket()};
  return bench::run({.name = "memcached",
                     .bare_pair =
                         [&] {
                           bare.write(true);
                           bare.write(false);
                         },
                     .round_trip = [&] { bare.look(); },
                     .make = [&](const char* name) { return std::make_unique<sherlock::MemcachedLock>(name, sherlock::Options{}, server.url()); },
                     .counts_waiters = false,
                     .wakes = false},
                    argc, argv);
}
