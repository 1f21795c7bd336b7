// SPDX-License-Identifier: MIT
// What is peculiar to Elasticsearch. The contract itself is in conformance_test.cpp.
#include <sherlock/addons/elasticsearch_lock.hpp>

#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "addons/support/elasticsearch_server.hpp"
#include "catch.hpp"
#include "support/says.hpp"

using namespace std::chrono_literals;
using nlohmann::json;
using sherlock::ElasticsearchLock, sherlock::BackendException, sherlock::ConfigurationException;
using support::ElasticsearchServer, support::says;

namespace {

constexpr const char* kStranger = "00000000000000000000000000000001";

json held_by_stranger(const json& ttl) {
  return {{"owner", kStranger}, {"held", true}, {"fence", "41"}, {"ttl", ttl}, {"since", 1}, {"note", R"({"label":"a stranger"})"}};
}

}  // namespace

TEST_CASE("a lock is a document that anybody can read: it stays when the lock is released, and names the lease and a ninth") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  ElasticsearchLock lease{"lease", {.expire = 9s}, server.url()}, forever{"forever", {.expire = sherlock::never}, server.url()};
  lease.acquire();
  CHECK(server.document(lease.key()).at("held") == true);
  CHECK(server.document(lease.key()).at("ttl") == 10001);
  CHECK(server.document(lease.key()).at("fence") == std::to_string(lease.fence()));
  lease.release();
  CHECK(server.document(lease.key()).at("held") == false);
  forever.acquire();
  CHECK_FALSE(server.document(forever.key()).contains("ttl"));
}

TEST_CASE("an acquire of a free lock, a renew and a release are two requests each") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  ElasticsearchLock lock{"x", {}, server.url()};
  for (int i = 0; i < 2; ++i) {
    lock.acquire();
    lock.release();
  }
  const int before = server.requests();
  lock.acquire();
  CHECK(lock.renew());
  lock.release();
  CHECK(server.requests() == before + 6);
}

TEST_CASE("no clock of another machine is believed: a lease is over when it was watched, unchanged, for as long as it says") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  ElasticsearchLock lock{"x", {.timeout = 20s}, server.url()};
  server.ask("PUT", "/_doc/" + lock.key(), held_by_stranger(3'600'000));  // since 1970, its note says
  CHECK_FALSE(lock.try_acquire());
  CHECK(lock.holder()->label == "a stranger");
  server.ask("PUT", "/_doc/" + lock.key(), held_by_stranger(300));
  const auto before = std::chrono::steady_clock::now();
  lock.acquire();
  CHECK(std::chrono::steady_clock::now() - before >= 300ms);
  CHECK(lock.abandoned());
  CHECK(lock.fence() > 41);
}

TEST_CASE("whoever renews is watched anew") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  ElasticsearchLock lock{"x", {.timeout = 20s, .retry_interval = 10ms}, server.url()};
  // Each time with another fence, ahead of any clock's: the next one tells which of them was seen last.
  constexpr std::uint64_t kFence = 5'000'000'000'000'000'000;
  std::array<std::atomic<std::chrono::steady_clock::time_point>, 11> asked{};
  const auto renew = [&](std::size_t i) {
    json document = held_by_stranger(400);
    document["fence"] = std::to_string(kFence + i);
    asked.at(i) = std::chrono::steady_clock::now();
    server.ask("PUT", "/_doc/" + lock.key(), document);
  };
  renew(0);
  std::jthread renews{[&] {
    for (std::size_t i = 1; i < asked.size(); ++i) {
      std::this_thread::sleep_for(100ms);
      renew(i);
    }
  }};
  lock.acquire();
  const auto now = std::chrono::steady_clock::now();
  // On a machine that is too slow to renew in time, the lock may be had earlier; then it was not renewed for as long.
  REQUIRE(lock.fence() > kFence);
  CHECK(now - asked.at(lock.fence() - kFence - 1).load() >= 400ms);
}

TEST_CASE("a document that another object of the process has seen need not be watched again") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  ElasticsearchLock looks{"x", {}, server.url()};
  server.ask("PUT", "/_doc/" + looks.key(), held_by_stranger(1));
  static_cast<void>(looks.locked());
  std::this_thread::sleep_for(2ms);
  ElasticsearchLock next{"x", {}, server.url()};
  CHECK(next.try_acquire());
}

TEST_CASE("fences go on when the index was deleted, and when it was cleaned up") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  ElasticsearchLock lock{"x", {}, server.url()}, again{"x", {}, server.url()};
  lock.acquire();
  const auto first = lock.fence();
  CHECK(first > 1'700'000'000'000'000'000u);
  lock.release();
  again.acquire();
  const auto second = again.fence();
  CHECK(second > first);
  server.ask("DELETE", "");
  CHECK_FALSE(again.renew());
  again.acquire();
  CHECK(again.fence() > second);
  CHECK_FALSE(again.abandoned());  // it is not known any more
  again.release();

  // The clock of whoever had it may have been ahead.
  auto ahead = server.document(lock.key());
  ahead["fence"] = "8000000000000000000";
  server.ask("PUT", "/_doc/" + lock.key(), ahead);
  CHECK(ElasticsearchLock::clean(server.url()) == 1);
  CHECK(server.ask("GET", "/_doc/" + lock.key()).at("found") == false);
  lock.acquire();
  CHECK(lock.fence() == 8000000000000000001u);
  CHECK(lock.renew());
  lock.release();
  lock.acquire();
  CHECK(lock.fence() == 8000000000000000002u);
}

TEST_CASE("fences go on when the index comes back as it was earlier") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  ElasticsearchLock lock{"x", {}, server.url()};
  lock.acquire();
  auto last = lock.fence();
  lock.release();
  const auto snapshot = server.document(lock.key());
  for (int round = 0; round < 3; ++round) {
    server.ask("PUT", "/_doc/" + lock.key(), snapshot);
    lock.acquire();
    CHECK(lock.fence() > last);
    last = lock.fence();
    lock.release();
  }
}

TEST_CASE("an index that was deleted and made anew counts its changes from the beginning: what is known of the old one touches no hold of the new one") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  REQUIRE_FAKE(server);
  const std::string other_process = "http://other@" + server.url().substr(7);  // it knows nothing of what we saw
  ElasticsearchLock next{"x", {}, other_process};
  const auto made_anew = [&](bool renewed) {
    server.ask("DELETE", "");
    next.acquire();
    if (renewed) CHECK(next.renew());
  };
  const auto still_there = [&] {
    CHECK(next.renew());
    next.release();
    server.ask("DELETE", "");
  };
  {
    ElasticsearchLock releases{"x", {}, server.url()};
    releases.acquire();
    made_anew(false);
    CHECK_THROWS_AS(releases.release(), sherlock::LockLostException);
    still_there();
  }
  {
    ElasticsearchLock renews{"x", {}, server.url()};
    renews.acquire();
    made_anew(false);
    CHECK_FALSE(renews.renew());
    still_there();
  }
  {
    ElasticsearchLock takes{"x", {}, server.url()};
    takes.acquire();
    takes.release();
    made_anew(true);
    CHECK_FALSE(takes.try_acquire());
    still_there();
  }
  ElasticsearchLock waits{"x", {}, server.url()};
  server.ask("PUT", "/_doc/" + waits.key(), held_by_stranger(600));
  CHECK_FALSE(waits.try_acquire());
  std::this_thread::sleep_for(650ms);
  server.ask("DELETE", "");
  // Long enough that nobody can have watched it, and as long as the old one to whoever takes the two for one.
  json another = held_by_stranger(600);
  another["owner"] = "00000000000000000000000000000002";
  another["fence"] = "77";
  server.ask("PUT", "/_doc/" + waits.key(), another);
  CHECK_FALSE(waits.try_acquire());
}

TEST_CASE("a document that is none of ours, or says nonsense, is damage; nothing is taken") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  for (const json& document : {json::object(), json{{"owner", "x"}, {"held", "yes"}, {"fence", "1"}}, json{{"owner", 1}, {"held", true}, {"fence", "1"}},
                               json{{"owner", "x"}, {"held", true}, {"fence", "-1"}}, json{{"owner", "x"}, {"held", true}, {"fence", "18446744073709551615"}},
                               held_by_stranger(-1), held_by_stranger(json::object())}) {
    ElasticsearchLock lock{"x", {}, server.url()};
    server.ask("DELETE", "");
    server.ask("PUT", "/_doc/" + lock.key(), document);
    CHECK_THROWS_WITH(lock.try_acquire(), says("lock 'x' (elasticsearch): http") && says("another program uses this index"));
    CHECK_THROWS_AS(lock.locked(), BackendException);
    CHECK(server.document(lock.key()) == document);
  }
}

TEST_CASE("list names what was taken, clean removes what was let go") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server;
  const ElasticsearchLock::Client client{server.url()};
  CHECK(ElasticsearchLock::list(client).empty());
  CHECK(ElasticsearchLock::clean(client) == 0);
  const std::string odd{"\xff\0", 2};
  ElasticsearchLock held{"held", {.ns = "shop", .label = "full dump"}, client}, gone{odd, {}, client};
  held.acquire();
  gone.acquire();
  gone.release();
  auto list = ElasticsearchLock::list(client);
  std::ranges::sort(list, {}, &sherlock::LockInfo::name);
  REQUIRE(list.size() == 2);
  CHECK(list[0].name == "held");
  CHECK(list[0].ns == "shop");
  CHECK(list[0].holder->label == "full dump");
  CHECK(list[0].holder->fence == held.fence());
  CHECK(list[0].path == '/' + server.index() + "/_doc/" + held.key());
  CHECK(list[1].name == odd);
  CHECK(!list[1].holder);
  CHECK(ElasticsearchLock::clean(client) == 1);
  CHECK(ElasticsearchLock::list(client).size() == 1);
  CHECK(held.renew());
  CHECK(gone.try_acquire());  // from memory, it would have been there
}

TEST_CASE("an index is a store of its own") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server, two;
  ElasticsearchLock here{"x", {}, server.url()}, there{"x", {}, two.url()}, again{"x", {}, two.url()};
  here.acquire();
  there.acquire();
  CHECK_FALSE(again.try_acquire());
}

TEST_CASE("what makes no sense in a URL is refused when it is configured, before any server is asked") {
  CHECK_THROWS_WITH(ElasticsearchLock::connect("http://me:hush@host/Shop"), says("lower case") && !says("hush"));
  CHECK_THROWS_AS(ElasticsearchLock::connect("http://host/a/b"), ConfigurationException);
  CHECK_THROWS_AS(ElasticsearchLock::connect("http://host/_all"), ConfigurationException);
  CHECK_THROWS_AS(ElasticsearchLock::connect("http://host/a*"), ConfigurationException);
  CHECK_THROWS_AS(ElasticsearchLock::connect("http://ho%20st/"), ConfigurationException);
  CHECK_THROWS_WITH(ElasticsearchLock::connect("http://host?index=x"), says("no option index") && says("password_file"));
  CHECK_THROWS_AS(ElasticsearchLock::connect("redis://host"), ConfigurationException);
  CHECK_THROWS_AS(ElasticsearchLock::connect("host"), ConfigurationException);
  CHECK(ElasticsearchLock::Client{"https://me:hush@host/locks"}.text() == "https://me:***@host/locks");
}

TEST_CASE("user and password open the server, and are never shown") {
  REQUIRE_SERVER(ElasticsearchServer);
  const ElasticsearchServer server{"locks:very secret"};
  REQUIRE_FAKE(server);
  const std::string at = "127.0.0.1:" + std::to_string(server.port());
  const support::TempDir directory;
  for (const std::string& url : {"http://locks:very%20secret@" + at, "http://locks@" + at + "?password_file=" + directory.write("secret", "very secret\n")}) {
    INFO(url);
    ElasticsearchLock lock{"x", {}, url};
    lock.acquire();
    CHECK(lock.holder()->label == lock.label());
    lock.release();
  }
  for (const std::string& url : {"http://" + at, "http://locks:wrongpass1@" + at, "http://nobody:wrongpass1@" + at}) {
    ElasticsearchLock lock{"x", {}, url};
    try {
      static_cast<void>(lock.try_acquire());
      FAIL("it was let in");
    } catch (const BackendException& e) {
      CHECK_THAT(e.what(), says("127.0.0.1") && says("401") && says("check user and password") && !says("wrongpass1"));
    }
  }
}

TEST_CASE("with TLS, a server whose certificate nobody vouches for is not asked") {
  REQUIRE_SERVER(ElasticsearchServer);
  const support::TempDir directory;
  const std::string key = directory / "key.pem", certificate = directory / "cert.pem";
  const auto made = support::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=localhost",
                                  "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate});
  if (made.code != 0) {
    std::printf("skipped: openssl, which makes the certificate, is not installed (tools/setup does it)\n");
    return;
  }
  const ElasticsearchServer server{"locks:secret", directory.write("both.pem", directory.read("cert.pem") + directory.read("key.pem"))};
  REQUIRE_FAKE(server);
  const std::string at = "localhost:" + std::to_string(server.port()) + "/x";
  ElasticsearchLock lock{"x", {}, "https://locks:secret@" + at + "?ca=" + certificate}, other{"x", {}, "https://locks:secret@" + at + "?ca=" + certificate};
  lock.acquire();
  CHECK_FALSE(other.try_acquire());
  CHECK(lock.renew());
  lock.release();
  const auto refused = [&](const std::string& url) {
    ElasticsearchLock unsafe{"x", {.timeout = 1s}, url};
    CHECK_THROWS_AS(unsafe.try_acquire(), BackendException);
  };
  refused("https://locks:secret@" + at);                                                                             // signed by nobody we know
  refused("https://locks:secret@127.0.0.1:" + std::to_string(server.port()) + "/x?ca=" + certificate);  // another name
  refused("http://locks:secret@" + at);                                                                              // no TLS
}

TEST_CASE("with ?ca, the certificates of the system are trusted no more", "[process]") {
  REQUIRE_SERVER(ElasticsearchServer);
  const support::TempDir directory;
  const auto make = [&](const std::string& name) {
    return support::run({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=" + name, "-addext",
                         "subjectAltName=DNS:localhost", "-keyout", directory / (name + ".key"), "-out", directory / (name + ".pem")}).code == 0;
  };
  if (!make("system") || !make("ours")) {
    std::printf("skipped: openssl, which makes the certificate, is not installed (tools/setup does it)\n");
    return;
  }
  const ElasticsearchServer server{"locks:secret", directory.write("both.pem", directory.read("system.pem") + directory.read("system.key"))};
  REQUIRE_FAKE(server);
  std::string hash = support::run({"openssl", "x509", "-noout", "-hash", "-in", directory / "system.pem"}).out;
  hash.resize(8);
  std::filesystem::create_directory(directory / "system");
  directory.write("system/" + hash + ".0", directory.read("system.pem"));
  directory.write("system/ca-certificates.crt", directory.read("ours.pem"));
  enum { kGood, kNoMounts, kNotTrusted, kTrusted };
  support::Child child{[&] {
    // In its own mounts, that server is one that the system trusts.
    if (::unshare(CLONE_NEWNS | (::geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount((directory / "system").c_str(), "/etc/ssl/certs", nullptr, MS_BIND, nullptr) != 0)
      return kNoMounts;
    const std::string url = "https://locks:secret@localhost:" + std::to_string(server.port()) + "/x";
    ElasticsearchLock system{"x", {}, url}, ours{"x", {}, url + "?ca=" + (directory / "ours.pem")};
    try {
      static_cast<void>(system.locked());
    } catch (const BackendException&) {
      return kNotTrusted;
    }
    try {
      static_cast<void>(ours.locked());
      return kTrusted;
    } catch (const BackendException&) {
      return kGood;
    }
  }};
  const int code = child.wait().code;
  if (code == kNoMounts || code == kNotTrusted) {
    std::printf("skipped: no permission to mount an /etc/ssl/certs, or libcurl has its certificates elsewhere\n");
    return;
  }
  CHECK(code == kGood);
}
