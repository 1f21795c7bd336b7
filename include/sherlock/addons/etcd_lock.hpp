// SPDX-License-Identifier: MIT
// Locks in an etcd cluster. In the library libsherlock-etcd.so: the registry finds it as backend "etcd", or link it and use the class.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sherlock/base_lock.hpp>
#include <sherlock/export.hpp>

namespace sherlock {

namespace addons::etcd {
class Server;
}

// Which cluster. Locks of one URL share connections; no connection is made before the first verb.
class SHERLOCK_API EtcdClient {
 public:
  EtcdClient();  // http://localhost:2379
  // http://[USER[:PASSWORD]@]HOST[:PORT], the same with https://, or http+unix://[USER[:PASSWORD]@]/PATH; options, after '?' and with '&' between them:
  // password_file=PATH, ca=PATH, cert=PATH, key=PATH. ConfigurationException for anything else; it does not show the password.
  EtcdClient(std::string_view url);
  EtcdClient(const char* url) : EtcdClient{std::string_view{url}} {}
  EtcdClient(const std::string& url) : EtcdClient{std::string_view{url}} {}

  // With *** for the password.
  std::string text() const;

 private:
  friend class EtcdLock;
  std::shared_ptr<addons::etcd::Server> server_;
};

// A lock that is a key of an etcd cluster (version 3.4 or later, through its JSON gateway). A dead holder's lock is free when its lease ends, which the
// cluster counts in whole seconds, at least two of them, and longer than the holder does. The fence is the revision of the grant, so it is also the
// mod_revision of the key: a transaction of etcd can compare it.
class SHERLOCK_API EtcdLock final : public BaseLock {
 public:
  using Client = EtcdClient;
  static Client connect(std::string_view url) { return Client{url}; }

  // never: until release, whatever becomes of the holder; a dead one's lock must be freed by hand.
  static constexpr Traits traits{.fences = true, .wakes = true, .never = true, .scope = Scope::network};

  // Reaches no server.
  explicit EtcdLock(std::string name, Options options = {}, Client client = {});
  ~EtcdLock() override;

  // The locks that are held, and those whose last holder died or ran out. What was released leaves nothing behind.
  static std::vector<LockInfo> list(const Client& client);

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
