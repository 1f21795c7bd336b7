// SPDX-License-Identifier: MIT
// A real PostgreSQL server of the test's own: in a temporary directory, on a socket there, and on a loopback port if asked. It ends with the object, or with
// the test. It refuses to run as root; then it runs as the user that Debian's package makes for it.
//
//   REQUIRE_SERVER(PostgresServer);         // or prints "skipped: ...", and leaves the test
//   PostgresServer server;
//   PostgresLock lock{"x", {}, server.url()};
#pragma once

#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/syscall.h>

#include <sstream>
#include <string>
#include <vector>

#include "support/server.hpp"

namespace support {

class PostgresServer : public Server {
 public:
  static constexpr const char* program = "initdb";

  enum class On { socket, port, tls };  // the socket always; a port of loopback; a port that speaks TLS as well, with a certificate for "localhost"
  explicit PostgresServer(On on = On::socket, std::vector<std::string> more = {}) : port_{on != On::socket ? free_port() : 0}, tls_{on == On::tls}, more_{std::move(more)} {
    if (::getuid() == 0) {
      const passwd* user = ::getpwnam("postgres");
      if (!user && !(user = ::getpwnam("nobody"))) throw std::runtime_error{"no user for the server"};
      uid_ = user->pw_uid, gid_ = user->pw_gid;
      if (::chown(directory().path().c_str(), uid_, gid_) != 0) throw std::runtime_error{"chown"};
    }
    make();
    start();
  }
  ~PostgresServer() {
    if (::getpid() == maker_ && launched()) quit();
  }

  // With all its processes, and comes back when the last of them is gone: no other starts on the same place as long as there is one.
  void kill() {
    if (!launched()) return;
    std::vector<pollfd> ends;
    for (const pid_t child : children()) {
      const auto end = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
      if (end >= 0) ends.push_back({end, POLLIN, 0});
      ::kill(child, SIGKILL);
    }
    Server::kill();
    for (pollfd& end : ends) {
      ::poll(&end, 1, 10000);
      ::close(end.fd);
    }
  }
  // Ends at once, but leaves no shared memory behind, as kill() does until the next start().
  void quit() {
    process().signal(SIGQUIT);
    for (const pid_t child : children()) ::kill(child, SIGCONT);
    process().signal(SIGCONT);
    process().wait();
    Server::kill();
  }

  // Of a server that kill() or quit() has ended: with all it knew.
  void start() {
    std::vector<std::string> argv{bin("postgres"), "-D", data(), "-k", directory().path(), "-p", std::to_string(port_ ? port_ : 5432),
                                  "-c", port_ ? "listen_addresses=127.0.0.1" : "listen_addresses="};
    for (const char* setting : {"fsync=off", "max_connections=400", "dynamic_shared_memory_type=mmap", "shared_buffers=16MB", "autovacuum=off"}) {
      argv.emplace_back("-c");
      argv.emplace_back(setting);
    }
    if (tls_) argv.insert(argv.end(), {"-c", "ssl=on"});
    argv.insert(argv.end(), more_.begin(), more_.end());
    launch(argv, [this] { become(); });
    wait_until([this] { return sql("SELECT 1") == "1"; });
  }
  // A new one on the same place, which knows nothing.
  void start_empty() {
    if (launched()) quit();
    std::filesystem::remove_all(data());
    make();
    start();
  }

  // All its processes: one that listens, and one for each connection.
  void stop() {
    Server::stop();
    for (const pid_t child : children()) ::kill(child, SIGSTOP);
  }
  void resume() {
    for (const pid_t child : children()) ::kill(child, SIGCONT);
    Server::resume();
  }

  std::string socket() const { return directory() / (".s.PGSQL." + std::to_string(port_ ? port_ : 5432)); }
  int port() const { return port_; }
  std::string certificate() const { return data() + "/server.crt"; }
  std::string url(const std::string& options = {}) const {
    return "postgresql:///postgres?host=" + directory().path() + "&user=sherlock" + (port_ ? "&port=" + std::to_string(port_) : "") +
           (options.empty() ? "" : '&' + options);
  }
  // Over TCP, where the server wants a password.
  std::string tcp_url(const std::string& who, const std::string& options = {}) const {
    return "postgresql://" + who + "@127.0.0.1:" + std::to_string(port_) + "/postgres" + (options.empty() ? "" : '?' + options);
  }
  // What psql prints.
  std::string sql(const std::string& text) const {
    std::string said = run({bin("psql"), "-X", "-h", directory().path(), "-p", std::to_string(port_ ? port_ : 5432), "-U", "sherlock", "-d", "postgres", "-Atqc", text}).out;
    if (said.ends_with('\n')) said.pop_back();
    return said;
  }

 private:
  static std::string bin(const std::string& name) {
    for (int version = 30; version >= 11; --version) {
      const std::string path = "/usr/lib/postgresql/" + std::to_string(version) + "/bin/" + name;
      if (::access(path.c_str(), X_OK) == 0) return path;
    }
    return name;
  }
  std::string data() const { return directory() / "data"; }
  void become() const {
    if (uid_ == 0) return;
    if (::setgroups(0, nullptr) != 0 || ::setgid(gid_) != 0 || ::setuid(uid_) != 0 || ::chdir("/") != 0) ::_exit(kThrew);
  }
  void make() {
    launch({bin("initdb"), "-D", data(), "-U", "sherlock", "-E", "UTF8", "--no-locale", "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"},
           [this] { become(); });
    if (process().wait(kPatience) != Exit{0, 0}) throw std::runtime_error{"initdb: " + directory().read("log")};
    if (!tls_) return;
    launch({"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=DNS:localhost", "-keyout", data() + "/server.key", "-out", certificate()},
           [this] { become(); });
    if (process().wait(kPatience) != Exit{0, 0}) throw std::runtime_error{"openssl: " + directory().read("log")};
  }
  std::vector<pid_t> children() const {
    const std::string number = std::to_string(pid());
    std::ifstream list{"/proc/" + number + "/task/" + number + "/children"};
    std::vector<pid_t> all;
    for (pid_t child = 0; list >> child;) all.push_back(child);
    return all;
  }

  const int port_;
  const bool tls_;
  const std::vector<std::string> more_;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  const pid_t maker_ = ::getpid();
};

}  // namespace support
