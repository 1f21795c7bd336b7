// SPDX-License-Identifier: MIT
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include <sherlock/error.hpp>

#include "addons/faults.hpp"

namespace support {
namespace {

using namespace std::chrono_literals;
using namespace sherlock;

class Walk {
 public:
  Walk(const FaultSubject& subject, std::chrono::milliseconds lease) : subject_{subject}, lease_{lease}, proxy_{subject.server} {}

  LostMessages run() {
    for (const bool reply : {true, false})
      for (int n = 1; place(n, reply); ++n) ++figures_.places;
    return figures_;
  }

 private:
  // False: there is no n-th request.
  bool place(int n, bool reply) {
    where_ = (reply ? "reply " : "request ") + std::to_string(n) + " lost, ";
    const std::string name = "lost-" + std::to_string(n) + (reply ? "-reply" : "-request");
    const auto lock = subject_.make_lock(subject_.through(proxy_.port()), name, {.expire = lease_, .timeout = 2 * lease_ + 1s});
    const auto rival = subject_.make_lock(subject_.direct, name, {.expire = lease_, .timeout = 2 * lease_ + 1s});
    proxy_.cut();  // so that all places come again: those of a new connection first
    const int before = proxy_.lost();
    reply ? proxy_.lose_reply(n) : proxy_.lose_request(n);

    const bool acquired = twice("acquire", [&] { lock->acquire(); });
    if (acquired != lock->held()) wrong("held() does not say what acquire() did");
    if (lock->held() && rival->try_acquire()) wrong("two hold it after the acquire");
    if (acquired && twice("renew", [&] { return static_cast<void>(lock->renew() || wrong("the renewal says that it is lost")); }) && rival->try_acquire())
      wrong("two hold it after the renewal");
    const bool threw = threw_;
    if (acquired) twice("release", [&] { lock->release(); });
    proxy_.heal();
    if (!(threw || threw_ ? rival->try_acquire_for(2 * lease_ + 1s) : rival->try_acquire())) wrong("nobody gets it afterwards");
    threw_ = false;
    return proxy_.lost() > before;
  }

  // A verb, and once more if the first time the store failed, as it may: whether it was done. What has happened in the store by then is not known, so that a
  // second release may hear that nothing is held.
  template <class Verb>
  bool twice(const char* verb, Verb call) {
    for (int tries = 0; tries < 2; ++tries) try {
        call();
        return true;
      } catch (const BackendException&) {
        threw_ = true;
      } catch (const LockLostException&) {
        if (tries == 0) wrong(std::string{verb} + " says that it is lost");
        return false;
      } catch (const LockException& e) {
        wrong(std::string{verb} + ": " + e.what());
        return false;
      }
    wrong(std::string{verb} + " failed twice, though one message was lost");
    return false;
  }

  bool wrong(const std::string& what) {
    if (figures_.wrong++ == 0) figures_.what = where_ + what;
    return false;
  }

  const FaultSubject& subject_;
  const std::chrono::milliseconds lease_;
  Proxy proxy_;
  LostMessages figures_;
  std::string where_;
  bool threw_ = false;
};

}  // namespace

LostMessages lose_each_message(const FaultSubject& subject, std::chrono::milliseconds lease) { return Walk{subject, lease}.run(); }

}  // namespace support
