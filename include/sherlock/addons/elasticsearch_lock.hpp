// SPDX-License-Identifier: MIT
// Locks in an index of Elasticsearch. In the library libsherlock-elasticsearch.so: the registry finds it as backend "elasticsearch", or link it and use the
// class.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/base_lock.hpp>
#include <sherlock/export.hpp>

namespace sherlock {

namespace addons::elasticsearch {
class Index;
}

// Which index of which server. Locks of one URL share connections; no connection is made before the first verb.
class SHERLOCK_API ElasticsearchClient {
 public:
  ElasticsearchClient();  // http://localhost:9200/sherlock
  // http://[USER[:PASSWORD]@]HOST[:PORT][/INDEX], or https://; an option after '?': password_file=PATH. The port is 9200, the index "sherlock", if none is
  // given. ConfigurationException for anything else; it does not show the password.
  ElasticsearchClient(std::string_view url);
  ElasticsearchClient(const char* url) : ElasticsearchClient{std::string_view{url}} {}
  ElasticsearchClient(const std::string& url) : ElasticsearchClient{std::string_view{url}} {}

  // With *** for the password.
  std::string text() const;

 private:
  friend class ElasticsearchLock;
  std::shared_ptr<addons::elasticsearch::Index> index_;
};

// A lock that is a document of Elasticsearch (version 7 or later). The server counts no time: a lease is over for others when they have watched it for a ninth
// longer than it lasts, and nobody renewed it meanwhile. So a single try in a process that never saw the lock before does not get one whose holder has just
// died; who waits does. Nothing is woken: waiters ask every retry_interval.
class SHERLOCK_API ElasticsearchLock final : public BaseLock {
 public:
  using Client = ElasticsearchClient;
  static Client connect(std::string_view url) { return Client{url}; }

  // never: until release, whatever becomes of the holder; a dead one's lock must be freed by hand.
  static constexpr Traits traits{.fences = true, .never = true, .scope = Scope::network};

  // Reaches no server.
  explicit ElasticsearchLock(std::string name, Options options = {}, Client client = {});
  ~ElasticsearchLock() override;

  // The locks that were ever taken in the index and not cleaned up. BackendException when there are more than 10,000.
  static std::vector<LockInfo> list(const Client& client);
  // Deletes the documents of locks that nobody holds. Returns how many.
  static std::size_t clean(const Client& client);

 private:
  std::optional<Grant> do_acquire(const Claim& claim) override;
  bool do_release(const Claim& claim) override;
  bool do_renew(const Claim& claim) override;
  bool do_locked(const Claim& claim) const override;
  std::optional<Holder> do_holder(const Claim& claim) const override;
  void do_wait(const Claim& claim, std::chrono::nanoseconds deadline, std::stop_token stop) override;

  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sherlock
