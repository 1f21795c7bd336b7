// SPDX-License-Identifier: MIT
// What is peculiar to etcd. The contract itself is in conformance_test.cpp.
#include <sherlock/addons/etcd_lock.hpp>

#include <algorithm>
#include <thread>

#include "addons/etcd/base64.hpp"
#include "addons/support/answered.hpp"
#include "addons/support/etcd_server.hpp"
#include "addons/support/is_once.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using sherlock::EtcdLock, sherlock::BackendException, sherlock::ConfigurationException;
using support::EtcdServer, support::says;

namespace {

std::string owner_of(const EtcdLock& lock) { return "sherlock/" + lock.key() + "/owner"; }
std::string note_of(const EtcdLock& lock) { return "sherlock/" + lock.key() + "/note"; }

std::size_t leases(const EtcdServer& server) {
  const std::string said = server.ctl({"lease", "list"});
  return static_cast<std::size_t>(std::count(said.begin(), said.end(), '\n'));
}

}  // namespace

TEST_CASE("keys and values are written in base64, and what is none is told") {
  using sherlock::addons::etcd::to_base64, sherlock::addons::etcd::from_base64;
  CHECK(to_base64("") == "");
  CHECK(to_base64("a") == "YQ==");
  CHECK(to_base64("ab") == "YWI=");
  CHECK(to_base64("abc") == "YWJj");
  std::string all;
  for (int i = 0; i < 256; ++i) CHECK(from_base64(to_base64(all += static_cast<char>(i))) == all);
  CHECK(from_base64("////") == "\xff\xff\xff");
  for (const char* none : {"a", "ab", "abc", "ab=c", "====", "a===", "YQ=\n", "YQ--"}) CHECK_FALSE(from_base64(none).value_or("").size() > 0);
}

TEST_CASE("the cluster keeps a lease for a ninth longer than its holder, or more, and no lease where none was asked") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  EtcdLock lease{"lease", {.expire = 9s}, server.url()}, forever{"forever", {.expire = sherlock::never}, server.url()};
  lease.acquire();
  forever.acquire();
  const auto left = lease.holder()->expiry.value() - std::chrono::system_clock::now();
  CHECK((left > 9s && left <= 12s));
  CHECK(lease.renew());
  CHECK_FALSE(forever.holder()->expiry);
  CHECK(forever.renew());
  CHECK(leases(server) == 1);
}

TEST_CASE("the fence is the revision of the key, which a transaction of etcd can compare") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  EtcdLock lock{"x", {}, server.url()};
  lock.acquire();
  const auto revision = [&] { return server.ctl({"get", owner_of(lock), "--write-out", "fields"}); };
  CHECK_THAT(revision(), says("\"ModRevision\" : " + std::to_string(lock.fence())));
  CHECK(lock.renew());
  CHECK_THAT(revision(), says("\"ModRevision\" : " + std::to_string(lock.fence())));
}

TEST_CASE("what is released leaves nothing behind, and neither does a lock object") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  CHECK(support::is_once([&](const std::string& name) {
    const auto before = leases(server);
    {
      EtcdLock lock{name, {}, server.url()}, other{name, {}, server.url()}, never{"never " + name, {.expire = sherlock::never}, server.url()};
      for (int i = 0; i < 5; ++i) {
        lock.acquire();
        CHECK_FALSE(other.try_acquire());
        lock.release();
      }
      never.acquire();
      never.release();
      CHECK(server.ctl({"get", "--prefix", "sherlock/"}).empty());
      CHECK(leases(server) == before + 2);  // which the next hold of each would be attached to
    }
    return leases(server) == before;
  }));
}

TEST_CASE("locks of one server share its connections") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  const auto connections = [&] {
    int all = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
      sockaddr_in peer{};
      socklen_t length = sizeof peer;
      all += ::getpeername(std::stoi(entry.path().filename()), reinterpret_cast<sockaddr*>(&peer), &length) == 0 && ntohs(peer.sin_port) == server.port();
    }
    return all;
  };
  for (int i = 0; i < 20; ++i) {
    EtcdLock one{"a" + std::to_string(i), {}, server.url()}, two{"b" + std::to_string(i), {}, server.url()};
    one.acquire();
    two.acquire();
  }
  CHECK(connections() == 1);
}

TEST_CASE("an operator who deletes the key ends the hold: told at the next renew or release") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  EtcdLock lock{"x", {}, server.url()}, other{"x", {}, server.url()};
  const auto remove = [&] { server.ctl({"del", "--prefix", "sherlock/"}); };
  lock.acquire();
  remove();
  CHECK_FALSE(lock.renew());
  lock.acquire();
  CHECK_FALSE(lock.abandoned());  // the note is gone too
  remove();
  CHECK_THROWS_AS(lock.release(), sherlock::LockLostException);
  lock.acquire();
  server.ctl({"del", owner_of(lock)});
  CHECK(other.try_acquire());
  CHECK(other.abandoned());
  CHECK_FALSE(lock.renew());
  CHECK_THROWS_AS(lock.release(), sherlock::LockException);
  CHECK(other.renew());
}

TEST_CASE("keys that somebody else has written are nobody's facts") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  EtcdLock lock{"x", {}, server.url()};
  server.ctl({"put", owner_of(lock), "me"});
  CHECK_FALSE(lock.try_acquire());
  CHECK(lock.holder()->label.empty());
  server.ctl({"put", note_of(lock), "[[[\"pid\""});
  CHECK(lock.holder()->fence);
  CHECK(lock.locked());
  server.ctl({"put", "sherlock/", "x"});
  server.ctl({"put", "sherlock/a/b/c", "x"});
  server.ctl({"put", "sherlock//owner", "x"});
  CHECK_FALSE(EtcdLock::list(server.url()).empty());
  server.ctl({"del", owner_of(lock)});
  CHECK(lock.try_acquire());
  CHECK(lock.abandoned());
}

TEST_CASE("list names what is held and what was abandoned") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  const EtcdLock::Client client{server.url()};
  const std::string odd{"\xff\0", 2};
  EtcdLock held{"held", {.ns = "shop", .label = "full dump"}, client}, gone{"gone", {}, client}, strange{odd, {}, client};
  held.acquire();
  gone.acquire();
  gone.release();
  strange.acquire();
  server.ctl({"del", owner_of(strange)});

  auto list = EtcdLock::list(client);
  std::ranges::sort(list, {}, &sherlock::LockInfo::name);
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "held");
  CHECK(list[0].ns == "shop");
  CHECK(list[0].key == held.key());
  CHECK(list[0].holder->label == "full dump");
  CHECK(list[0].holder->fence == held.fence());
  CHECK(list[0].holder->since);
  CHECK(server.get(list[0].path).size() == 32);
  CHECK(list[1].name == odd);
  CHECK(!list[1].holder);
}

TEST_CASE("a list of more than a page is whole") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  std::vector<std::unique_ptr<EtcdLock>> locks;
  for (int i = 0; i < 521; ++i) {
    locks.push_back(std::make_unique<EtcdLock>(std::to_string(i), sherlock::Options{.expire = sherlock::never}, server.url()));
    locks.back()->acquire();
  }
  const auto list = EtcdLock::list(server.url());
  CHECK(list.size() == locks.size());
  CHECK(std::ranges::all_of(list, [](const auto& one) { return one.holder && !one.name.empty() && one.holder->pid == ::getpid(); }));
}

TEST_CASE("history that was compacted away does not keep a waiter from being woken") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  EtcdLock holder{"x", {}, server.url()}, waiter{"x", {.timeout = 20s, .retry_interval = 50ms}, server.url()};
  holder.acquire();
  std::jthread waits{[&] { waiter.acquire(); }};
  for (int i = 0; i < 3; ++i) {
    server.ctl({"put", "something", "else"});
    server.ctl({"compact", std::to_string(holder.fence() + static_cast<std::uint64_t>(i))});
  }
  holder.release();
  waits.join();
  CHECK(waiter.held());
}

TEST_CASE("what makes no sense in a URL is refused when it is configured, before any server is asked") {
  CHECK_THROWS_WITH(EtcdLock::connect("http://host/path"), says("no path"));
  CHECK_THROWS_WITH(EtcdLock::connect("http://:hush@host"), says("no user") && !says("hush"));
  CHECK_THROWS_WITH(EtcdLock::connect("https://me:hush@host?tls=1"), says("no option tls") && says("ca, cert, key") && !says("hush"));
  CHECK_THROWS_AS(EtcdLock::connect("host:2379"), ConfigurationException);
  CHECK_THROWS_AS(EtcdLock::connect("etcd://host"), ConfigurationException);
  CHECK_THROWS_WITH(EtcdLock::connect("http+unix://"), says("path of the socket"));
  CHECK(EtcdLock::Client{"http://me:hush@host:1"}.text() == "http://me:***@host:1");
}

TEST_CASE("users and passwords open the server, and are never shown") {
  REQUIRE_SERVER(EtcdServer);
  EtcdServer server;
  for (const auto& words : std::initializer_list<std::vector<std::string>>{
           {"user", "add", "root:hush hush"}, {"user", "grant-role", "root", "root"}, {"role", "add", "locks"}, {"role", "grant-permission", "locks", "--prefix=true", "readwrite", "sherlock/"},
           {"user", "add", "locks:very secret"}, {"user", "grant-role", "locks", "locks"}, {"user", "add", "poor:wrongpass1"}, {"auth", "enable"}})
    server.ctl(words);
  const std::string at = "127.0.0.1:" + std::to_string(server.port());
  const support::TempDir directory;
  for (const std::string& url :
       {"http://root:hush%20hush@" + at, "http://locks:very%20secret@" + at, "http://locks@" + at + "?password_file=" + directory.write("secret", "very secret\n")}) {
    INFO(url);
    EtcdLock lock{"x", {}, url}, waiter{"x", {.retry_interval = 1h}, url};
    lock.acquire();
    CHECK(lock.holder()->label == lock.label());
    CHECK(lock.renew());
    CHECK_FALSE(waiter.try_acquire_for(20ms));
    std::jthread releases{[&] { lock.release(); }};
    waiter.acquire();
  }
  for (const std::string& url : {"http://" + at, "http://locks:wrongpass1@" + at, "http://nobody:wrongpass1@" + at, "http://poor:wrongpass1@" + at}) {
    INFO(url);
    EtcdLock lock{"x", {.expire = sherlock::never}, url};
    try {
      support::answered([&] { return lock.try_acquire(); });  // the server may take its time over a password
      FAIL("it was let in");
    } catch (const BackendException& e) {
      CHECK_THAT(e.what(), says("127.0.0.1") && !says("wrongpass1"));
      CHECK_THAT(e.what(), says("password") || says("grant it readwrite"));
    }
  }

  // The tokens that it has given are worth nothing after a restart.
  EtcdLock lock{"y", {.expire = sherlock::never}, "http://locks:very%20secret@" + at};
  lock.acquire();
  server.kill();
  server.start();
  CHECK(lock.renew());
  lock.release();
}

TEST_CASE("a server with TLS is trusted when its certificate is, and only then") {
  REQUIRE_SERVER(EtcdServer);
  if (!support::installed("openssl")) {
    std::printf("skipped: openssl is not installed\n");
    return;
  }
  const support::TempDir directory;
  const std::string key = directory / "key.pem", certificate = directory / "cert.pem";
  support::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=IP:127.0.0.1"});
  const EtcdServer server{{certificate, key}};
  EtcdLock lock{"x", {}, server.url() + "?ca=" + certificate}, waiter{"x", {.timeout = 20s, .retry_interval = 1h}, server.url() + "?ca=" + certificate};
  lock.acquire();
  std::jthread releases{[&] {
    std::this_thread::sleep_for(20ms);
    lock.release();
  }};
  waiter.acquire();
  CHECK(waiter.held());
  EtcdLock stranger{"x", {}, server.url()};
  CHECK_THROWS_WITH(stranger.try_acquire(), says("certificate"));
}

TEST_CASE("a try that is carried out when its hold was released long ago keeps nobody out for longer than the next try of that object") {
  REQUIRE_SERVER(EtcdServer);
  const EtcdServer server;
  for (const bool never : {false, true}) {
    EtcdLock lock{"x", {.expire = never ? sherlock::Duration{sherlock::never} : sherlock::Duration{60s}, .timeout = 20s, .retry_interval = 20ms}, server.url()};
    const auto carried_out_late = [&](const std::string& owner, const std::string& lease) {
      server.ctl({"put", "--lease", lease, owner_of(lock), owner});
      server.ctl({"put", note_of(lock), "{}"});
    };
    lock.acquire();
    const std::string owner = server.get(owner_of(lock));
    std::string lease = never ? "0" : server.ctl({"lease", "list"});
    lease = lease.substr(lease.rfind('\n') + 1);
    lock.release();
    carried_out_late(owner, lease);
    CHECK(lock.try_acquire());
    lock.release();

    EtcdLock other{"x", {}, server.url()};
    other.acquire();
    std::jthread waits{[&] { lock.acquire(); }};
    std::this_thread::sleep_for(50ms);
    CHECK_FALSE(lock.held());
    other.release();
    waits.join();
    CHECK(lock.held());
    lock.release();
  }
}
