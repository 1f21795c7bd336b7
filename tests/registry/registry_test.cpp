// SPDX-License-Identifier: MIT
#include <sherlock/registry.hpp>

#include <filesystem>

#include "catch.hpp"
#include "registry/spy_lock.hpp"

using namespace sherlock;
using Catch::Matchers::Contains;

namespace {

// Nothing but what backend<L>() asks for.
template <class C>
class PlainLock : public BaseLock {
 public:
  using Client = C;
  PlainLock(std::string name, Options options, Client) : BaseLock{std::move(name), std::move(options)} {}
  ~PlainLock() override { let_go(); }

 private:
  std::optional<Grant> do_acquire(const Claim&) override { return Grant{}; }
  bool do_release(const Claim&) override { return true; }
  bool do_renew(const Claim&) override { return true; }
  bool do_locked(const Claim&) const override { return false; }
  std::optional<Holder> do_holder(const Claim&) const override { return {}; }
};

class ListingLock : public PlainLock<std::string> {
 public:
  using PlainLock::PlainLock;
  static std::vector<LockInfo> list(const Client& client) { return {{.name = client}}; }
  static std::size_t clean(const Client& client) { return client.size(); }
};

struct Connection {
  explicit Connection(int) {}
};

}  // namespace

TEST_CASE("a registered backend is found with all that was said of it", "[registry]") {
  Registry registry;
  registry.add(backend<SpyLock>({.name = "spy", .library = "libspy", .default_client = "moscow"}));

  const Backend found = registry.find("spy");
  CHECK(found.name() == "spy");
  CHECK(found.library() == "libspy");
  CHECK(found.default_client() == "moscow");
  CHECK(found.traits().never);
  CHECK(found.traits().default_expire == Duration{std::chrono::seconds{42}});
  CHECK(registry.names() == std::vector<std::string>{"spy"});
}

TEST_CASE("a lock class without traits promises the least, and the descriptor's traits win over the class's", "[registry]") {
  const Backend plain = backend<PlainLock<std::string>>({.name = "plain"});
  CHECK(!plain.traits().never);
  CHECK(!plain.traits().sees_death);
  CHECK(plain.traits().scope == Scope::network);
  CHECK(plain.traits().default_expire == Duration{std::chrono::seconds{60}});

  CHECK(backend<SpyLock>({.name = "spy", .traits = Traits{.fair = true}}).traits().fair);
  CHECK(!backend<SpyLock>({.name = "spy", .traits = Traits{.fair = true}}).traits().never);
}

TEST_CASE("backends are named in alphabetical order, whatever order they came in", "[registry]") {
  Registry registry;
  for (const char* name : {"m", "z", "a", "m-2"}) registry.add(backend<SpyLock>({.name = name}));
  CHECK(registry.names() == std::vector<std::string>{"a", "m", "m-2", "z"});
  for (const char* name : {"m", "z", "a", "m-2"}) CHECK(registry.find(name).name() == name);
}

TEST_CASE("an unknown backend is an error that lists the known ones", "[registry]") {
  Registry registry;
  CHECK_THROWS_WITH(registry.find("redis"), Contains("redis") && Contains("none is registered") && Contains("add"));
  registry.add(backend<SpyLock>({.name = "spy"}));
  registry.add(backend<SpyLock>({.name = "mole"}));
  CHECK_THROWS_WITH(registry.find("redis"), Contains("redis") && Contains("mole, spy"));
  CHECK_THROWS_AS(registry.find(""), ConfigurationException);
  CHECK_THROWS_AS(registry.find("sp"), ConfigurationException);
  CHECK_THROWS_WITH(registry.find("\x1b[2J"), !Contains("\x1b"));
}

TEST_CASE("a name registered twice is an error, and the first stays", "[registry]") {
  Registry registry;
  registry.add(backend<SpyLock>({.name = "spy", .library = "first"}));
  CHECK_THROWS_AS(registry.add(backend<SpyLock>({.name = "spy", .library = "second"})), ConfigurationException);
  CHECK_THROWS_WITH(registry.add(backend<SpyLock>({.name = "spy"})), Contains("spy") && Contains("another name"));
  CHECK(registry.find("spy").library() == "first");
  CHECK(registry.names().size() == 1);
}

TEST_CASE("a backend's name is one that a command line can carry", "[registry]") {
  Registry registry;
  for (const char* name : {"", "Redis", "a b", "a/b", "é", "a.b"})
    CHECK_THROWS_WITH(registry.add(backend<SpyLock>({.name = name})), Contains("a-z, 0-9"));
  CHECK(registry.names().empty());
  CHECK_NOTHROW(registry.add(backend<SpyLock>({.name = "my_own-2"})));
}

TEST_CASE("a client may be a literal, a string, a view, a path or the backend's own", "[registry]") {
  const Backend spy = backend<SpyLock>({.name = "spy"});
  const std::string text = "text";
  const auto made_with = [&](const AnyClient& client) {
    static_cast<void>(spy.make("lock", {}, client));
    return SpyLock::last_client;
  };
  CHECK(made_with("literal") == "literal");
  CHECK(made_with(text) == "text");
  CHECK(made_with(std::string_view{"view"}) == "view");
  CHECK(made_with(std::filesystem::path{"/pa/th"}) == "/pa/th");
  CHECK(made_with(SpyClient{.text = "own"}) == "own");
  CHECK(made_with("") == "");
}

TEST_CASE("no client is the default one: the descriptor's text, else the default-made", "[registry]") {
  static_cast<void>(backend<SpyLock>({.name = "spy"}).make("lock", {}, {}));
  CHECK(SpyLock::last_client == "default-made");
  static_cast<void>(backend<SpyLock>({.name = "spy", .default_client = "moscow"}).make("lock", {}, {}));
  CHECK(SpyLock::last_client == "moscow");

  const char* const unset = nullptr;  // what std::getenv says
  CHECK(AnyClient{unset}.empty());
}

TEST_CASE("a backend without a default client asks for one", "[registry]") {
  const Backend connected = backend<PlainLock<Connection>>({.name = "connected"});
  CHECK_THROWS_AS(connected.make("lock", {}, {}), ConfigurationException);
  CHECK_THROWS_WITH(connected.make("lock", {}, {}), Contains("connected") && Contains("no default client") && Contains("Connection"));
  CHECK_NOTHROW(connected.make("lock", {}, Connection{1}));

  SECTION("the default of a pointer points nowhere, so it is none") {
    const Backend pointed = backend<PlainLock<std::shared_ptr<Connection>>>({.name = "pointed"});
    CHECK_THROWS_WITH(pointed.make("lock", {}, {}), Contains("no default client"));
    CHECK_NOTHROW(pointed.make("lock", {}, std::make_shared<Connection>(1)));
  }
}

TEST_CASE("a client of the wrong type is an error that names both types", "[registry]") {
  const Backend spy = backend<SpyLock>({.name = "spy"});
  CHECK_THROWS_AS(spy.check(5), ConfigurationException);
  CHECK_THROWS_WITH(spy.check(5), Contains("spy") && Contains("SpyClient") && Contains("int"));
  CHECK_THROWS_WITH(spy.make("lock", {}, std::vector<Connection>{}),
                    Contains("SpyClient") && Contains("std::vector") && Contains("Connection"));
  CHECK_NOTHROW(spy.check(SpyClient{}));
  CHECK_NOTHROW(spy.check("text"));
  CHECK_NOTHROW(spy.check({}));

  const Backend connected = backend<PlainLock<Connection>>({.name = "connected"});
  CHECK_THROWS_WITH(connected.check("localhost"), Contains("no text") && Contains("localhost") && Contains("Connection"));

  const Backend listing = backend<ListingLock>({.name = "listing"});
  CHECK_THROWS_WITH(listing.check(SpyClient{}), Contains("std::string,") && Contains("SpyClient"));
  CHECK_NOTHROW(listing.check("text"));
}

TEST_CASE("what connect says of a text reaches whoever gave it", "[registry]") {
  CHECK_THROWS_WITH(backend<SpyLock>({.name = "spy"}).check("nonsense"), "nonsense is no place");
}

TEST_CASE("a backend lists and cleans where its class can", "[registry]") {
  const Backend listing = backend<ListingLock>({.name = "listing", .default_client = "somewhere"});
  REQUIRE(listing.can_list());
  REQUIRE(listing.can_clean());
  CHECK(listing.list("there").at(0).name == "there");
  CHECK(listing.list({}).at(0).name == "somewhere");
  CHECK(listing.clean("there") == 5);

  const Backend spy = backend<SpyLock>({.name = "spy"});
  CHECK(!spy.can_list());
  CHECK(!spy.can_clean());
  CHECK_THROWS_WITH(spy.list({}), Contains("spy") && Contains("cannot list"));
  CHECK_THROWS_AS(spy.clean({}), ConfigurationException);
}

TEST_CASE("types are named as people write them", "[registry]") {
  CHECK(detail::type_name(typeid(std::string)) == "std::string");
  CHECK(detail::type_name(typeid(int)) == "int");
  CHECK(detail::type_name(typeid(SpyClient)) == "SpyClient");
}

TEST_CASE("the process-wide registry knows the built-in backends and takes others", "[registry]") {
  CHECK(registry().find("file").library() == "flock(2)");
  CHECK(registry().find("file").traits().sees_death);
  CHECK_THROWS_AS(registry().add(backend<SpyLock>({.name = "file"})), ConfigurationException);
  registry().add(backend<SpyLock>({.name = "registry-test"}));
  CHECK(registry().find("registry-test").name() == "registry-test");
  CHECK_THROWS_WITH(registry().find("nothing"), Contains("file, registry-test"));
  CHECK(Registry{}.names().empty());
}
