// SPDX-License-Identifier: MIT
// A desktop program that keeps its documents in one SQLite file, and there, in a table of their own, who edits which. Here two people have it open:
// Ann edits a letter; Ben is told so, reads it meanwhile, and has it as soon as she closes it, or her program dies.
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>

#include <sherlock/sqlite_lock.hpp>

using namespace std::chrono_literals;

namespace {

// The program's own database, as it has always used it.
class Documents {
 public:
  explicit Documents(const std::string& path) {
    if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) throw std::runtime_error{sqlite3_errmsg(db_)};
    sqlite3_busy_timeout(db_, 5000);
    run("CREATE TABLE IF NOT EXISTS documents (title TEXT PRIMARY KEY, body TEXT)");
    run("INSERT OR IGNORE INTO documents VALUES ('letter', 'Dear Ben,')");
  }
  ~Documents() { sqlite3_close(db_); }
  Documents(const Documents&) = delete;
  Documents& operator=(const Documents&) = delete;

  void append(const std::string& text) { run("UPDATE documents SET body = body || '" + text + "' WHERE title = 'letter'"); }
  std::string read() {
    std::string body;
    run("SELECT body FROM documents WHERE title = 'letter'", &body);
    return body;
  }

 private:
  void run(const std::string& sql, std::string* answer = nullptr) {
    const auto keep = [](void* answer, int, char** columns, char**) {
      if (answer) *static_cast<std::string*>(answer) = columns[0];
      return 0;
    };
    if (sqlite3_exec(db_, sql.c_str(), keep, answer, nullptr) != SQLITE_OK) throw std::runtime_error{sqlite3_errmsg(db_)};
  }

  sqlite3* db_ = nullptr;
};

// Opens a document for editing, or says who has it open.
class Editor {
 public:
  Editor(const std::string& path, const std::string& title, const std::string& who)
      : documents_{path}, lock_{title, {.label = who}, path + "?table=editing"} {}

  bool open() {
    if (lock_.try_acquire()) return true;
    if (const auto holder = lock_.holder()) {
      const auto now = std::chrono::system_clock::now();
      const auto since = std::chrono::duration_cast<std::chrono::seconds>(now - holder->since.value_or(now));
      std::cout << "  \"" << lock_.name() << "\" is being edited by " << holder->label << " (process " << holder->pid.value_or(0) << "), for "
                << since.count() << " s: you can read it\n";
      told_ = holder->label;
    }
    return false;
  }
  bool open_when_free() { return lock_.try_acquire_for(10s); }
  void close() { lock_.release(); }
  void write(const std::string& text) { documents_.append(text); }
  std::string read() { return documents_.read(); }
  bool left_unfinished() const { return lock_.abandoned(); }  // whoever had it open before did not close it
  const std::string& told() const { return told_; }

 private:
  Documents documents_;
  sherlock::SqliteLock lock_;
  std::string told_;
};

int failures = 0;

void check(bool kept, const char* claim) {
  std::cout << (kept ? "  as it should be: " : "  BROKEN: ") << claim << '\n';
  if (!kept) ++failures;
}

void say(int pipe) {
  if (write(pipe, ".", 1) != 1) std::abort();
}
void hear(int pipe) {
  char word;
  if (read(pipe, &word, 1) != 1) std::abort();
}

// In a process of her own.
int ann(const std::string& path, int editing, int close_it, int again) {
  Editor editor{path, "letter", "Ann"};
  if (!editor.open()) return 1;
  editor.write(" how are you?");
  say(editing);
  hear(close_it);
  editor.close();
  hear(again);
  if (!editor.open_when_free()) return 1;
  editor.write(" I have to");
  say(editing);
  _exit(0);  // her program crashes
}

}  // namespace

int main() {
  char directory[] = "/tmp/documents-XXXXXX";
  if (!mkdtemp(directory)) return 1;
  const std::string path = std::string{directory} + "/documents.db";
  int editing[2], close_it[2], again[2];
  if (pipe(editing) != 0 || pipe(close_it) != 0 || pipe(again) != 0) return 1;

  const pid_t her = fork();
  if (her == 0) {
    const int code = ann(path, editing[1], close_it[0], again[0]);
    _exit(code);
  }

  hear(editing[0]);
  {
    Editor ben{path, "letter", "Ben"};
    check(!ben.open() && ben.told() == "Ann", "Ben is told that Ann edits the letter");
    check(ben.read() == "Dear Ben, how are you?", "he can read it meanwhile");

    say(close_it[1]);
    check(ben.open_when_free(), "when she closes it, he has it");
    check(!ben.left_unfinished(), "she had finished");
    ben.write(" Fine.");
    ben.close();

    say(again[1]);
    hear(editing[0]);
    int status = 0;
    waitpid(her, &status, 0);
    check(ben.open_when_free(), "when her program crashes, he has it at once");
    check(ben.left_unfinished(), "and is told that she had not finished");
    ben.close();
  }
  for (const char* suffix : {"", "-sherlock", "-journal"}) unlink((path + suffix).c_str());
  rmdir(directory);
  return failures;
}
