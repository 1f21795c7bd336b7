// SPDX-License-Identifier: MIT
// A cluster, as all locks of one URL in this process see it: requests to the JSON gateway of etcd, and what its answers mean. What a server sends is a
// stranger's: its size is bounded, its types are checked.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "addons/common/failure.hpp"
#include "addons/common/http.hpp"

namespace sherlock::addons::etcd {

using Json = nlohmann::json;

// It answered that it will not. `number` is gRPC's.
class Refused : public Failure {
 public:
  Refused(int number, Errc code, const std::string& text) : Failure{code, text}, number_{number} {}
  // A lease, mostly: it has ended.
  bool not_found() const { return number_ == 5; }

 private:
  int number_;
};

struct Answer {
  Json json;              // an object
  bool repeated = false;  // see HttpAnswer
};

class Server {
 public:
  // The one of this URL, which lives as long as the process. ConfigurationException.
  static std::shared_ptr<Server> of(std::string_view url);

  explicit Server(Url url);

  std::string text() const { return url_.shown(); }

  // Refused, or another Failure. Whatever is asked must bear to be asked twice.
  Answer ask(const std::string& path, const Json& body, Deadline deadline);
  // For a listener.
  std::unique_ptr<HttpStream> stream(const std::string& path, const Json& body, Deadline deadline);
  // Failure for an answer that says no.
  [[noreturn]] void refused(long status, const Json& answer) const;

  // What a field holds; absent ones are 0, or nothing, as gRPC's JSON leaves them out. Failure (damaged) where it is of another type.
  std::uint64_t number(const Json& object, const char* field) const;
  const Json& object(const Json& object, const char* field) const;
  const Json& array(const Json& object, const char* field) const;
  bool flag(const Json& object, const char* field) const;
  // Of a key or value.
  std::string bytes(const Json& object, const char* field) const;
  // An object, made of a text.
  Json read(std::string_view text) const;
  // It answered something that it cannot have been asked.
  [[noreturn]] void bad_answer() const;

 private:
  std::string authorization(Deadline deadline);
  void forget_token();

  const Url url_;
  Http http_;
  std::string token_;  // with shared()
};

}  // namespace sherlock::addons::etcd
