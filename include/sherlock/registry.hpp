// SPDX-License-Identifier: MIT
// Which backends there are. The process-wide registry() knows the built-in ones; add() takes others, and plug-ins bring theirs. A Registry
// is an ordinary object otherwise: a test makes a fresh one.
#pragma once

#include <any>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <mutex>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <sherlock/base_lock.hpp>
#include <sherlock/config.hpp>
#include <sherlock/export.hpp>
#include <sherlock/holder.hpp>
#include <sherlock/traits.hpp>

namespace sherlock {

class Registry;

// The process-wide one, with the built-in backends. Never destroyed.
SHERLOCK_API Registry& registry();

// What the author of a backend says of it.
struct Descriptor {
  std::string name{};            // what configure() and the command line call it: [a-z0-9_-]
  std::string library{};         // what it is built on, for people: "libcurl"
  std::string default_client{};  // as text; empty: the default-made L::Client (a pointer has none: its default points nowhere)
  std::optional<Traits> traits{};  // where not given: L::traits if there is one, else the weakest
};

// A registered backend. Cheap to copy; immutable. Made by backend<L>().
class SHERLOCK_API Backend {
 public:
  const std::string& name() const { return descriptor_.name; }
  const std::string& library() const { return descriptor_.library; }
  const std::string& default_client() const { return descriptor_.default_client; }
  const Traits& traits() const { return traits_; }

  // A lock of this backend. An empty client is the default one. ConfigurationException for a client of the wrong type.
  std::unique_ptr<BaseLock> make(std::string name, Options options, const AnyClient& client) const;
  // Throws ConfigurationException unless `client` is one that make() takes. Reaches no store, as long as L::connect does not.
  void check(const AnyClient& client) const;

  // The locks of a store, and removal of what nobody uses there (the number of locks forgotten). ConfigurationException where
  // the backend cannot.
  bool can_list() const { return static_cast<bool>(list_); }
  bool can_clean() const { return static_cast<bool>(clean_); }
  std::vector<LockInfo> list(const AnyClient& client) const;
  std::size_t clean(const AnyClient& client) const;

 private:
  template <class L>
  friend Backend backend(Descriptor descriptor);
  Backend() = default;

  // The default for an empty client, and text turned into the backend's own: the std::any holds an L::Client, always.
  std::any resolve(const AnyClient& client) const;
  std::any convert(const AnyClient& client) const;

  Descriptor descriptor_;
  Traits traits_;
  std::string client_type_;  // for people
  std::function<std::optional<std::any>(const AnyClient&)> convert_;  // nothing: wrong type
  std::function<std::any()> default_made_;                            // empty: L::Client has no default
  std::function<std::unique_ptr<BaseLock>(std::string, Options, const std::any&)> make_;
  std::function<std::vector<LockInfo>(const std::any&)> list_;
  std::function<std::size_t(const std::any&)> clean_;
};

// Describes the lock class L as a backend. L derives from BaseLock, has a copyable L::Client, and is made from {name, options, client}.
// Text for a client goes through L::connect(std::string_view) where there is one, else through L::Client's constructor; both
// should reach no store, because configure() calls them to check the text: that is for the first verb, or L's constructor. Where
// L has them, L::traits, L::list(const Client&) and L::clean(const Client&) are used.
template <class L>
Backend backend(Descriptor descriptor);

// A file that find() would take a backend from.
struct PluginFile {
  std::string backend{};  // its name, as the name of the file says
  std::string path{};
};

// Those in the directories that find() looks through, in alphabetical order; one that another hides is left out. Nothing is opened or
// judged.
SHERLOCK_API std::vector<PluginFile> plugin_files();

class SHERLOCK_API Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // ConfigurationException when the name is taken, empty, or not [a-z0-9_-].
  void add(Backend backend);
  // The backend of that name. If none is registered, it is looked for as a plug-in (<sherlock/plugin.hpp>), libsherlock-NAME.so, which is
  // loaded and never unloaded: in the directories of SHERLOCK_PLUGIN_PATH (absolute paths with colons between; not followed where the
  // program has more rights than its user), then in $libdir/sherlock. Any thread; two that need the same plug-in at once both get it.
  // ConfigurationException when there is none, which lists the known ones and says what was looked for, or why the file that was found is
  // refused: the file, its directory and those above have to belong to root or to us and be writable by nobody else, and the plug-in has to
  // be built for this library. No code of it has run then.
  Backend find(std::string_view name) const;
  // Loads a plug-in by its path, as find() does: the names of the backends that it added. To load it again changes nothing.
  // ConfigurationException where it is missing, refused, throws, adds nothing or a name that is taken: nothing of it is registered then.
  std::vector<std::string> load(const std::string& path);
  // What is registered, in alphabetical order. Loads nothing.
  std::vector<std::string> names() const;

  // See configure() and configuration() in config.hpp, which are these of registry().
  void configure(const Config& config);
  Config configuration() const;

  // A lock of the configured backend, with what is configured here where `options` says nothing. ConfigurationException when no
  // backend is configured.
  std::unique_ptr<BaseLock> make(std::string name, Options options = {}) const;

 private:
  friend Registry& registry();

  struct Plugin {
    const void* library = nullptr;
    std::vector<std::string> names{};
  };

  std::shared_ptr<const Config> snapshot() const;
  std::optional<Backend> registered(std::string_view name) const;
  bool load_plugin_of(std::string_view backend) const;
  std::optional<std::vector<std::string>> load_from(const std::string& directory, const std::string& file, std::string_view asked) const;
  std::optional<std::vector<std::string>> names_of(const void* library) const;
  std::vector<std::string> take_over(const void* library, Registry& from, std::string_view asked) const;

  mutable std::mutex mutex_;
  mutable std::vector<Backend> backends_;  // in alphabetical order; find() may add to them
  mutable std::vector<Plugin> plugins_;    // that were loaded here
  std::shared_ptr<const Config> config_;
  bool process_wide_ = false;  // its configuration is also that of locks made by their own class
};

namespace detail {
SHERLOCK_API std::string type_name(const std::type_info& type);
}

template <class L>
Backend backend(Descriptor descriptor) {
  static_assert(std::derived_from<L, BaseLock>, "sherlock::backend<L>: L must derive from sherlock::BaseLock");
  static_assert(requires { typename L::Client; }, "sherlock::backend<L>: L must name its client type: using Client = ...");
  using Client = typename L::Client;
  static_assert(std::copy_constructible<Client>, "sherlock::backend<L>: L::Client must be copyable");
  static_assert(std::constructible_from<L, std::string, Options, Client>,
                "sherlock::backend<L>: L must be constructible from (std::string name, sherlock::Options options, Client client)");

  Backend made;
  made.descriptor_ = std::move(descriptor);
  if (made.descriptor_.traits)
    made.traits_ = *made.descriptor_.traits;
  else if constexpr (requires { Traits{L::traits}; })
    made.traits_ = L::traits;
  made.client_type_ = detail::type_name(typeid(Client));
  made.convert_ = [](const AnyClient& given) -> std::optional<std::any> {
    if (std::any_cast<Client>(&given.value())) return given.value();
    if (const std::string* text = given.text()) {
      if constexpr (requires { { L::connect(std::string_view{*text}) } -> std::convertible_to<Client>; })
        return std::any{std::in_place_type<Client>, L::connect(std::string_view{*text})};
      else if constexpr (std::constructible_from<Client, const std::string&>)
        return std::any{std::in_place_type<Client>, *text};
    }
    return std::nullopt;
  };
  if constexpr (std::default_initializable<Client> && !requires(const Client& c) { c == nullptr; })
    made.default_made_ = [] { return std::any{std::in_place_type<Client>}; };
  made.make_ = [](std::string name, Options options, const std::any& client) -> std::unique_ptr<BaseLock> {
    return std::make_unique<L>(std::move(name), std::move(options), std::any_cast<const Client&>(client));
  };
  if constexpr (requires(const Client& c) { { L::list(c) } -> std::convertible_to<std::vector<LockInfo>>; })
    made.list_ = [](const std::any& client) { return L::list(std::any_cast<const Client&>(client)); };
  if constexpr (requires(const Client& c) { { L::clean(c) } -> std::convertible_to<std::size_t>; })
    made.clean_ = [](const std::any& client) { return L::clean(std::any_cast<const Client&>(client)); };
  return made;
}

}  // namespace sherlock
