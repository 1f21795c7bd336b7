// SPDX-License-Identifier: MIT
#include "addons/etcd/listener.hpp"

#include "addons/common/forks.hpp"
#include "addons/common/wake.hpp"

namespace sherlock::addons::etcd {
namespace {

constexpr std::chrono::seconds kConnecting{1};  // what a waiter gives the server before it does without

}  // namespace

bool Listener::wait(std::uint64_t revision, Deadline deadline, const std::stop_token& stop) {
  const Wake wake{stop};
  if (stream_ && forks_ != forks()) stream_.reset();
  if (!stream_) {
    stream_ = server_->stream("/v3/watch", watch_request(keys_, revision), Deadline::in(kConnecting));
    forks_ = forks();
  }
  std::string line;
  while (stream_->next(line, deadline, wake.fd()) == HttpStream::Came::line) {
    if (line.empty()) continue;
    const Json said = server_->read(line);
    if (stream_->status() != 200 || said.contains("error")) server_->refused(stream_->status(), said);
    const Json& result = server_->object(said, "result");
    // It was compacted away, or the user may not listen.
    if (server_->flag(result, "canceled")) throw Broken{Errc::unavailable, "it does not tell what happens"};
    if (!server_->array(result, "events").empty()) return true;
  }
  return false;
}

}  // namespace sherlock::addons::etcd
