// SPDX-License-Identifier: MIT
#include "addons/common/url.hpp"

#include <sherlock/error.hpp>

#include "addons/common/failure.hpp"
#include "catch.hpp"
#include "support/says.hpp"
#include "support/temp_dir.hpp"

using sherlock::ConfigurationException, sherlock::addons::Url;
using support::says;

namespace {

Url read(const std::string& text) { return sherlock::addons::parse_url(text, {"redis", "redis+unix"}, "redis"); }

}  // namespace

TEST_CASE("a URL has user, password, host, port, path and options") {
  const Url url = read("Redis://me:p%40s%3As@example.org:6380/2?keys=python&x=a%26b");
  CHECK(url.scheme == "redis");
  CHECK(url.user == "me");
  CHECK(url.password == "p@s:s");
  CHECK(url.host == "example.org");
  CHECK(url.port == 6380);
  CHECK(url.path == "/2");
  CHECK(Url{url}.take("keys") == "python");
  CHECK(Url{url}.take("x") == "a&b");
}

TEST_CASE("what a URL leaves out is empty, and its host is this one") {
  const Url url = read("redis://");
  CHECK(url.host == "localhost");
  CHECK((url.port == 0 && url.user.empty() && url.password.empty() && url.path.empty() && url.options.empty()));
  CHECK(read("redis://:secret@").password == "secret");
  CHECK(read("redis://a@b@host").user == "a@b");
}

TEST_CASE("an IPv6 address stands in brackets") {
  const Url url = read("redis://[::1]:7000/");
  CHECK(url.host == "::1");
  CHECK(url.port == 7000);
  CHECK(url.shown() == "redis://[::1]:7000/");
  CHECK_THROWS_WITH(read("redis://[::1"), says("']' is missing"));
}

TEST_CASE("a socket is a path and no host") {
  const Url url = read("redis+unix://me:secret@/run/redis%20server.sock?db=3");
  CHECK(url.is_socket());
  CHECK(url.path == "/run/redis server.sock");
  CHECK(url.host.empty());
  CHECK_THROWS_WITH(read("redis+unix://host/run/redis.sock"), says("has no host"));
  CHECK_THROWS_WITH(read("redis+unix://"), says("path of the socket is missing"));
}

TEST_CASE("what is no URL is refused, and says why") {
  CHECK_THROWS_WITH(read("localhost:6379"), says("it begins with redis:// or redis+unix://"));
  CHECK_THROWS_WITH(read("http://localhost"), says("it begins with redis://"));
  CHECK_THROWS_WITH(read("redis://host:0"), says("from 1 to 65535"));
  CHECK_THROWS_WITH(read("redis://host:65536"), says("from 1 to 65535"));
  CHECK_THROWS_WITH(read("redis://host:1x"), says("from 1 to 65535"));
  CHECK_THROWS_WITH(read("redis://ho%zzst"), says("two hexadecimal digits"));
  CHECK_THROWS_WITH(read("redis://host/%0"), says("two hexadecimal digits"));
  CHECK_THROWS_WITH(read("redis://host/%00"), says("NUL"));
  CHECK_THROWS_WITH(read("redis://host?a=1&a=2"), says("given twice"));
  CHECK_THROWS_AS(read("redis://" + std::string(5000, 'x')), ConfigurationException);
  CHECK_THROWS_WITH(sherlock::addons::refuse_others(read("redis://host?kees=python"), "keys", "redis"), says("no option kees") && says("keys"));
}

TEST_CASE("no secret is shown, whatever is wrong with the text") {
  CHECK(read("redis://me:hush@host:1/2").shown() == "redis://me:***@host:1/2");
  CHECK(read("redis://:hush@host").shown() == "redis://:***@host");
  for (const char* text : {"me:hush@host", "http://me:hush@host", "redis://me:hush@host:0", "redis://me:hu%sh@host", "redis://me:hush@[::1",
                           "redis://me:hush@host?a=1&a=2", "redis+unix://me:hush@host/x", "redis://me:hush@host?password_file=x"}) {
    INFO(text);
    try {
      read(text);
      FAIL("it was taken for a URL");
    } catch (const ConfigurationException& e) {
      CHECK(std::string{e.what()}.find("hush") == std::string::npos);
    }
  }
}

TEST_CASE("a URL that is shown commands no terminal") { CHECK(read("redis://host/%1b%5b2J").shown() == "redis://host/\\x1b[2J"); }

TEST_CASE("a password may come from a file") {
  const support::TempDir directory;
  CHECK(read("redis://me@host?password_file=" + directory.write("secret", "hush\nmore\n")).secret() == "hush");
  CHECK(read("redis://me@host?password_file=" + directory.write("windows", "hush\r\n")).secret() == "hush");
  CHECK_THROWS_WITH(read("redis://me@host?password_file=/nowhere").secret(), says("/nowhere"));
  CHECK(read("redis://me:hush@host").secret() == "hush");
}

TEST_CASE("a password whose '/' or '?' is not written %XX is not taken for a port, a path or an option, and nothing of it is shown") {
  for (const char* text : {"redis://me:12/hush@host", "redis://me:12?hush@host", "redis://me:12/x?hush@host:1",
                           "redis://me:hush/12@host", "redis://:1/hush@host",
                           "redis://me:8/hush==@host", "redis://me/hush@host", "redis://me:hush/@x@host", "redis://me:1?hush=1@host", "redis://me:1?x=hush@host&y=1",
                           "redis://me:pass@hush/x@host", "redis+unix://:1/hush@/run/socket"})
    CHECK_THROWS_WITH(read(text), says("password") && says("%2F") && says("%40") && !says("hush") && !says("me:") && !says("host") && !says("run"));
}

TEST_CASE("an '@' in a path or an option is written %40") {
  CHECK(read("redis://me:hush@host/a%40b?x=c%40d").path == "/a@b");
  CHECK(Url{read("redis://host:1/a?x=c%40d")}.take("x") == "c@d");
  CHECK(read("redis://me:1#2@3@host").shown() == "redis://me:***@host");
}
