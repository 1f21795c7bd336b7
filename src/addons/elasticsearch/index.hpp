// SPDX-License-Identifier: MIT
// An index, as all locks of one URL in this process see it: its requests, and what the answers mean. Every write says what it expects to find, and the
// server makes one step of the look and the writing.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "addons/common/deadline.hpp"
#include "addons/common/http.hpp"
#include "addons/common/url.hpp"
#include "addons/elasticsearch/document.hpp"

namespace sherlock::addons::elasticsearch {

class Index {
 public:
  // The one of this URL, which lives as long as the process. ConfigurationException.
  static std::shared_ptr<Index> of(std::string_view url);

  explicit Index(Url url);

  const Url& url() const { return http_.url(); }
  std::string path_of(std::string_view key) const { return '/' + name_ + "/_doc/" + std::string{key}; }

  // All of them throw Failure. Asked again where a connection broke: a write that was done, and whose answer was lost, then finds what it wrote, and says nothing.

  // Nothing: there is no such document.
  std::optional<Found> get(std::string_view key, Deadline deadline);
  // The version that it has now. Nothing: there is a document already.
  std::optional<Version> create(std::string_view key, const Document& document, Deadline deadline);
  // Nothing: it has that version no more. `asked_twice` becomes true where a connection broke: then it may have been us.
  std::optional<Version> replace(std::string_view key, const Version& version, const Document& document, Deadline deadline, bool* asked_twice = nullptr);
  bool remove(std::string_view key, const Version& version, Deadline deadline);

  struct Listed : Found {
    std::string key;
  };
  std::vector<Listed> all(Deadline deadline);

  // The largest fence of all locks that were removed: theirs begin above it. 0 when none was.
  std::uint64_t forgotten_fence(Deadline deadline);
  void forget_fence(std::uint64_t fence, Deadline deadline);

  // What the locks of one key share in this process, while there is one of them. Read and written with shared() held.
  std::shared_ptr<Sight> sight(std::string_view key);
  void close(std::string_view key, std::shared_ptr<Sight> sight) noexcept;

 private:
  struct Answer;
  Answer ask(const char* method, const std::string& path, const std::string& body, Deadline deadline, std::size_t most = 1024 * 1024);
  std::optional<Version> write(const std::string& path, const std::string& body, Deadline deadline, bool* asked_twice);
  Document read(const nlohmann::json& source, std::string_view key) const;
  [[noreturn]] void refuse(const Answer& answer) const;
  [[noreturn]] void bad_answer() const;

  Http http_;
  std::string name_;
  std::map<std::string, std::weak_ptr<Sight>, std::less<>> sights_;
};

}  // namespace sherlock::addons::elasticsearch
