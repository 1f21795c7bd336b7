// SPDX-License-Identifier: MIT
#include "addons/common/resolve.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include "addons/common/failure.hpp"

namespace sherlock::addons {
namespace {

// getaddrinfo() knows no deadline and tries for half a minute and more. What its name service may take is set for this thread, while this lives.
class Hurry {
 public:
  explicit Hurry(Deadline deadline) {
    if (!(_res.options & RES_INIT)) res_ninit(&_res);
    retrans_ = _res.retrans, retry_ = _res.retry, servers_ = _res.nscount;
    const int seconds = std::clamp(deadline.wait_ms() / 1000, 1, 30);
    _res.nscount = std::min(servers_, seconds);  // each is asked for a second at least
    _res.retrans = std::min(retrans_, std::max(1, seconds / std::max(1, _res.nscount)));
    _res.retry = 1;
  }
  ~Hurry() { _res.retrans = retrans_, _res.retry = retry_, _res.nscount = servers_; }
  Hurry(const Hurry&) = delete;
  Hurry& operator=(const Hurry&) = delete;

 private:
  int retrans_, retry_, servers_;
};

}  // namespace

Addresses resolve(const Url& url, int port, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
  const std::string service = std::to_string(url.port ? url.port : port);
  addrinfo* found = nullptr;
  int why = ::getaddrinfo(url.host.c_str(), service.c_str(), &hints, &found);
  if (why == EAI_NONAME) {
    const Hurry hurry{deadline};
    hints.ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG;
    why = ::getaddrinfo(url.host.c_str(), service.c_str(), &hints, &found);
  }
  if (why == EAI_AGAIN) throw Failure{Errc::busy, "no name server answers for the host; is the network up?"};
  if (why != 0) throw Failure{Errc::unavailable, std::string{"the host is not known: "} + ::gai_strerror(why)};

  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned{found, &::freeaddrinfo};
  Addresses addresses;
  for (const addrinfo* one = found; one; one = one->ai_next) {
    Address& address = addresses.emplace_back();
    address.length = one->ai_addrlen;
    std::memcpy(&address.data, one->ai_addr, one->ai_addrlen);
  }
  return addresses;
}

}  // namespace sherlock::addons
