// SPDX-License-Identifier: MIT
// keys=python: a process of Python's sherlock and one of ours exclude each other.
#include <sherlock/addons/redis_lock.hpp>

#include <poll.h>

#include <mutex>
#include <thread>

#include "addons/support/redis_server.hpp"
#include "catch.hpp"

using namespace std::chrono_literals;
using sherlock::RedisLock;

namespace {

constexpr const char* kPython = "/usr/bin/python3";  // the one that Debian's python3-redis is for

bool has_redis() { return support::run({kPython, "-c", "import redis"}).code == 0; }

// A Python process with one lock.
class Peer {
 public:
  Peer(const support::RedisServer& server, const std::string& ns, const std::string& name, const std::string& expire = "60")
      : child_{[&] {
          if (::dup2(in_[0], 0) < 0 || ::dup2(out_[1], 1) < 0) return support::kThrew;
          ::execl(kPython, kPython, SHERLOCK_TEST_PYTHON_PEER, server.socket().c_str(), ns.c_str(), name.c_str(), expire.c_str(), nullptr);
          return 127;
        }} {}
  ~Peer() {
    for (const int fd : {in_[0], in_[1], out_[0], out_[1]}) ::close(fd);
  }
  bool ask(const std::string& word) {
    const std::string line = word + '\n';
    if (::write(in_[1], line.data(), line.size()) < 0) throw std::runtime_error{"the Python peer is gone"};
    std::string said;
    pollfd waited{out_[0], POLLIN, 0};
    for (char c; said.find('\n') == std::string::npos; said += c)
      if (::poll(&waited, 1, 20000) != 1 || ::read(out_[0], &c, 1) != 1) throw std::runtime_error{"the Python peer does not answer"};
    return said == "yes\n";
  }

 private:
  struct Ends {
    Ends() {
      if (::pipe2(fd, O_CLOEXEC) != 0) throw std::runtime_error{"pipe2"};
    }
    int operator[](int i) const { return fd[i]; }
    int fd[2];
  };
  Ends in_, out_;
  support::Child child_;
};

#define REQUIRE_PYTHON()                                                             \
  if (!has_redis()) {                                                                \
    std::printf("skipped: python3-redis is not installed (tools/setup does it)\n"); \
    return;                                                                          \
  }

}  // namespace

TEST_CASE("C++ and Python exclude each other, with a namespace and without", "[process]") {
  REQUIRE_SERVER(support::RedisServer);
  REQUIRE_PYTHON();
  const support::RedisServer server;
  const std::string ns = GENERATE("", "shop");
  Peer python{server, ns, "report"};
  RedisLock lock{"report", {.ns = ns, .expire = 60s}, server.url("keys=python")};

  CHECK(python.ask("acquire"));
  CHECK_FALSE(lock.try_acquire());
  CHECK(lock.locked());
  REQUIRE(lock.holder());
  CHECK(!lock.holder()->pid);  // Python leaves no word of itself
  CHECK(lock.holder()->expiry);
  CHECK(python.ask("renew"));
  CHECK(python.ask("release"));

  CHECK(lock.try_acquire());
  CHECK(lock.holder()->pid == ::getpid());
  CHECK(python.ask("locked"));
  CHECK_FALSE(python.ask("acquire"));
  CHECK_FALSE(python.ask("release"));
  CHECK_FALSE(python.ask("renew"));
  CHECK(lock.renew());
  lock.release();
  CHECK_FALSE(python.ask("locked"));
  CHECK(python.ask("acquire"));
}

TEST_CASE("a lease that Python lets run out is C++'s, and the other way round", "[process]") {
  REQUIRE_SERVER(support::RedisServer);
  REQUIRE_PYTHON();
  const support::RedisServer server;
  Peer python{server, "", "lease", "1"};
  RedisLock lock{"lease", {.expire = 300ms, .timeout = 10s}, server.url("keys=python")};
  CHECK(python.ask("acquire"));
  lock.acquire();
  CHECK_FALSE(python.ask("release"));
  while (!python.ask("acquire")) std::this_thread::sleep_for(1ms);
  CHECK_FALSE(lock.held());
  CHECK_THROWS_AS(lock.release(), sherlock::LockLostException);
  bool released = python.ask("release");
  for (int i = 0; i < 10 && !released; ++i) released = python.ask("acquire") && python.ask("release");  // too late for its second
  CHECK(released);
}

TEST_CASE("many of both, each adding one to a number that is not atomic", "[process]") {
  REQUIRE_SERVER(support::RedisServer);
  REQUIRE_PYTHON();
  const support::RedisServer server;
  server.cli({"SET", "total", "0"});
  constexpr int kRounds = 50;
  const auto bump = [&] { server.cli({"SET", "total", std::to_string(std::stoi(server.cli({"GET", "total"})) + 1)}); };
  std::jthread python{[&] {
    Peer peer{server, "", "sum"};
    for (int i = 0; i < kRounds; ++i) {
      while (!peer.ask("acquire")) std::this_thread::sleep_for(1ms);
      bump();
      peer.ask("release");
    }
  }};
  RedisLock lock{"sum", {.timeout = 20s, .retry_interval = 1ms}, server.url("keys=python")};
  for (int i = 0; i < kRounds; ++i) {
    const std::unique_lock hold{lock};
    bump();
  }
  python.join();
  CHECK(server.cli({"GET", "total"}) == std::to_string(2 * kRounds));
}
