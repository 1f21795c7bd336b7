// SPDX-License-Identifier: MIT
#include "addons/elasticsearch/index.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include <sherlock/addons/elasticsearch_lock.hpp>

#include "addons/common/failure.hpp"
#include "addons/common/forks.hpp"

namespace sherlock::addons::elasticsearch {

using nlohmann::json;

namespace {

constexpr const char* kBackend = "elasticsearch";
constexpr int kPort = 9200;
constexpr std::size_t kMostListed = 10'000;               // what the server gives in one answer
constexpr std::size_t kMostBytes = 64 * 1024 * 1024;      // of that answer
constexpr const char* kFences = ".fences";                // no key has a dot

// What the server takes for an index, and nothing that would name several of them.
bool is_index(std::string_view name) {
  const auto fit = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '+'; };
  return !name.empty() && name.size() <= 255 && std::ranges::all_of(name, fit) && std::string_view{"-_+."}.find(name.front()) == std::string_view::npos;
}

std::optional<std::int64_t> number(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > INT64_MAX) return std::nullopt;
  return found->get<std::int64_t>();
}

std::optional<Version> version_of(const json& object) {
  const auto seq_no = number(object, "_seq_no"), primary_term = number(object, "_primary_term");
  if (!seq_no || !primary_term) return std::nullopt;
  return Version{*seq_no, *primary_term};
}

std::string condition(const Version& version) { return fmt::format("?if_seq_no={}&if_primary_term={}", version.seq_no, version.primary_term); }

}  // namespace

struct Index::Answer {
  long status;
  json body;
  bool repeated;

  // What the server calls the error: "version_conflict_engine_exception".
  std::string error() const { return text("type"); }
  std::string text(const char* member) const {
    const auto error = body.find("error");
    if (error == body.end() || !error->is_object()) return {};
    const auto found = error->find(member);
    return found != error->end() && found->is_string() ? found->get<std::string>() : std::string{};
  }
};

std::shared_ptr<Index> Index::of(std::string_view url) {
  // Never destroyed: locks may be let go while the process exits.
  static auto* const indices = new std::map<std::string, std::shared_ptr<Index>, std::less<>>;
  const std::lock_guard guard{shared()};
  const auto found = indices->find(url);
  if (found != indices->end()) return found->second;
  return indices->emplace(url, std::make_shared<Index>(parse_url(url, {"http", "https"}, kBackend))).first->second;
}

Index::Index(Url url) : http_{std::move(url), kPort, kBackend} {
  const std::string& path = http_.url().path;
  name_ = path.size() > 1 ? path.substr(1) : "sherlock";
  if (!is_index(name_))
    throw ConfigurationException{fmt::format("\"{}\": the path is the name of one index, as in http://host:9200/sherlock: lower case letters, digits, '-', '_', '.'",
                                             http_.url().shown()), {}, kBackend};
  refuse_others(http_.url(), Http::options, kBackend);
}

Index::Answer Index::ask(const char* method, const std::string& path, const std::string& body, Deadline deadline, std::size_t most) {
  const HttpAnswer answer = http_.ask(method, '/' + name_ + path, body, deadline, most);
  Answer read{answer.status, json::parse(answer.body, nullptr, false), answer.repeated};
  // A gateway that has no server behind it says so in words of its own.
  if (read.body.is_discarded() || !read.body.is_object()) {
    if (read.status < 400) bad_answer();
    read.body = json::object();
  }
  if (read.status >= 500 || read.status == 429 || read.status == 401 || read.status == 403) refuse(read);
  return read;
}

std::optional<Found> Index::get(std::string_view key, Deadline deadline) {
  const Answer answer = ask("GET", fmt::format("/_doc/{}", key), {}, deadline);
  const auto found = answer.body.find("found");
  const bool told = found != answer.body.end() && found->is_boolean();
  if (answer.status == 404 && ((told && !found->get<bool>()) || answer.error() == "index_not_found_exception")) return std::nullopt;
  if (answer.status != 200 && answer.status != 404) refuse(answer);
  const auto version = version_of(answer.body);
  const auto source = answer.body.find("_source");
  if (answer.status != 200 || !told || !found->get<bool>() || !version || source == answer.body.end()) bad_answer();
  return Found{read(*source, key), *version};
}

Document Index::read(const json& source, std::string_view key) const {
  if (auto document = decode(source)) return *std::move(document);
  throw Failure{Errc::damaged, fmt::format("{}: document {} is none of ours: another program uses this index", url().shown(), printable(key))};
}

// A conflict is an answer, not a failure: the document is not what was expected.
std::optional<Version> Index::write(const std::string& path, const std::string& body, Deadline deadline, bool* asked_twice) {
  const Answer answer = ask("PUT", path, body, deadline);
  if (asked_twice && answer.repeated) *asked_twice = true;
  if (answer.status == 409 && answer.error() == "version_conflict_engine_exception") return std::nullopt;
  if (answer.status != 200 && answer.status != 201) refuse(answer);
  const auto version = version_of(answer.body);
  if (!version) bad_answer();
  return version;
}

std::optional<Version> Index::create(std::string_view key, const Document& document, Deadline deadline) {
  return write(fmt::format("/_create/{}", key), encode(document), deadline, nullptr);
}

std::optional<Version> Index::replace(std::string_view key, const Version& version, const Document& document, Deadline deadline,
                                      bool* asked_twice) {
  return write(fmt::format("/_doc/{}{}", key, condition(version)), encode(document), deadline, asked_twice);
}

bool Index::remove(std::string_view key, const Version& version, Deadline deadline) {
  const Answer answer = ask("DELETE", fmt::format("/_doc/{}{}", key, condition(version)), {}, deadline);
  if (answer.status == 404 || (answer.status == 409 && answer.error() == "version_conflict_engine_exception")) return false;
  if (answer.status != 200) refuse(answer);
  return true;
}

std::vector<Index::Listed> Index::all(Deadline deadline) {
  std::vector<Listed> found;
  // A search sees only what was there when the index was refreshed.
  Answer answer = ask("POST", "/_refresh", {}, deadline);
  if (answer.status == 404 && answer.error() == "index_not_found_exception") return found;
  if (answer.status == 200) answer = ask("POST", "/_search", json{{"size", kMostListed}, {"seq_no_primary_term", true}}.dump(), deadline, kMostBytes);
  if (answer.status != 200) refuse(answer);
  const json* const hits = answer.body.contains("hits") && answer.body["hits"].is_object() ? &answer.body["hits"] : nullptr;
  if (!hits || !hits->contains("hits") || !(*hits)["hits"].is_array()) bad_answer();
  const json& documents = (*hits)["hits"];
  if (documents.size() >= kMostListed) throw Failure{Errc::system, url().shown() + ": the index has too many documents to list them: clean it up, or delete it"};
  for (const json& hit : documents) {
    const auto version = hit.is_object() ? version_of(hit) : std::nullopt;
    if (!version || !hit.contains("_id") || !hit["_id"].is_string() || !hit.contains("_source")) bad_answer();
    const std::string key = hit["_id"];
    if (key == kFences) continue;
    found.push_back({{read(hit["_source"], key), *version}, key});
  }
  return found;
}

std::uint64_t Index::forgotten_fence(Deadline deadline) {
  const auto found = get(kFences, deadline);
  return found ? found->document.fence : 0;
}

void Index::forget_fence(std::uint64_t fence, Deadline deadline) {
  for (;;) {
    const auto found = get(kFences, deadline);
    if (found && found->document.fence >= fence) return;
    const Document next{.owner = {}, .held = false, .fence = fence, .fence_unsure = false, .abandoned = false, .ttl = {}, .note = {}, .since = 0};
    if (found ? replace(kFences, found->version, next, deadline) : create(kFences, next, deadline)) return;
  }
}

std::shared_ptr<Sight> Index::sight(std::string_view key) {
  const std::lock_guard guard{shared()};
  std::weak_ptr<Sight>& known = sights_[std::string{key}];
  std::shared_ptr<Sight> sight = known.lock();
  if (!sight) known = sight = std::make_shared<Sight>();
  return sight;
}

void Index::close(std::string_view key, std::shared_ptr<Sight> sight) noexcept {
  const std::lock_guard guard{shared()};
  sight.reset();
  const auto known = sights_.find(key);
  if (known != sights_.end() && known->second.expired()) sights_.erase(known);
}

void Index::refuse(const Answer& answer) const {
  static constexpr struct {
    long status;
    const char* error;  // "": any
    Errc errc;
    const char* way_out;
  } kKnown[] = {
      {401, "", Errc::unavailable, "check user and password: http://user:password@host:9200/index, or the option password_file"},
      {403, "cluster_block_exception", Errc::unavailable, "the index takes no writes: is its disk full?"},
      {403, "", Errc::unavailable, "the user may not do this: allow it to read, write, refresh and make the index"},
      {404, "index_not_found_exception", Errc::unavailable, "it makes no index by itself: make it"},
      {429, "", Errc::busy, "it has too much to do: try again soon"},
      {503, "", Errc::unavailable, "it cannot write now: is the cluster whole?"},
  };
  const std::string text = fmt::format("{}: it says: {} {}: {}", url().shown(), answer.status, printable(answer.error(), 80), printable(answer.text("reason")));
  for (const auto& known : kKnown)
    if (answer.status == known.status && (!*known.error || answer.error() == known.error)) throw Failure{known.errc, text + "; " + known.way_out};
  throw Failure{Errc::unavailable, text};
}

void Index::bad_answer() const {
  throw Failure{Errc::damaged, url().shown() + " answers what no Elasticsearch answers: is something else listening there?"};
}

}  // namespace sherlock::addons::elasticsearch

namespace sherlock {

ElasticsearchClient::ElasticsearchClient() : ElasticsearchClient{std::string_view{"http://localhost:9200/sherlock"}} {}
ElasticsearchClient::ElasticsearchClient(std::string_view url) : index_{addons::elasticsearch::Index::of(url)} {}
std::string ElasticsearchClient::text() const { return index_->url().shown(); }

}  // namespace sherlock
