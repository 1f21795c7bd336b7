// SPDX-License-Identifier: MIT
#include "local/companion.hpp"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sherlock/clock.hpp>

#include "catch.hpp"
#include "core/failure.hpp"
#include "local/word.hpp"
#include "playground.hpp"
#include "posix/file.hpp"
#include "support/counters.hpp"
#include "support/fault_script.hpp"
#include "support/says.hpp"

using namespace sherlock::local;
using namespace playground;
using sherlock::Errc;
using sherlock::detail::Failure;
using support::Child;
using support::Exit;
using support::FaultScript;
using support::says;
using support::Syscalls;

namespace {

constexpr std::uint64_t kFormatAt = offsetof(Header, format), kBootAt = offsetof(Header, boot_id), kTimeAt = offsetof(Header, time_namespace);

// The Failure that a call throws; Errc{} when it throws none.
struct Said {
  Errc code{};
  std::string text;
};
Said failure_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Failure& f) {
    return {f.code(), f.what()};
  }
  return {};
}

// A process that is present in the companion until it is ended.
class Present {
 public:
  explicit Present(const Playground& ground)
      : child_{[this, &ground] {
          const auto companion = ground.open();
          ready_.tell();
          Child::sleep();
          return 0;
        }} {
    REQUIRE(ready_.hear());
  }
  Child& process() { return child_; }

 private:
  support::Pipe ready_;
  Child child_;
};

std::string content(const std::string& file) {
  std::ifstream in{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}

struct stat stat_of(const std::string& file) {
  struct stat result {};
  REQUIRE(::stat(file.c_str(), &result) == 0);
  return result;
}

// An entry of the old contents, to see whether they are still there.
Word64& trace(const Companion& companion) { return companion.entry(0, 77).since; }

// Where the list of robust mutexes of this thread begins; null: it is empty.
void* first_robust_mutex() {
  robust_list_head* head = nullptr;
  std::size_t size = 0;
  REQUIRE(::syscall(SYS_get_robust_list, 0, &head, &size) == 0);
  return head->list.next == &head->list ? nullptr : head->list.next;
}

}  // namespace

TEST_CASE("a companion is made where there is none, and its space is reserved", "[companion]") {
  const Playground ground;
  const auto descriptors = support::open_descriptors();
  {
    const auto companion = ground.open();
    CHECK(companion->header().magic.load() == kMagic);
    CHECK(companion->header().format == kFormat);
    CHECK(companion->segments() == 1);
    CHECK(companion->path() == ground.file());
    const struct stat file = stat_of(ground.file());
    CHECK((file.st_mode & 07777) == 0600);
    CHECK(static_cast<std::uint64_t>(file.st_size) == kFirstSegment);
    CHECK(static_cast<std::uint64_t>(file.st_blocks) * 512 >= kFirstSegment);
    CHECK(file.st_ino == companion->file_stat().st_ino);
  }
  CHECK(support::open_descriptors() == descriptors);
  CHECK(support::entries(ground.dir.path()) == 1);
}

TEST_CASE("a companion shared between users has the mode that was asked for, whatever the umask", "[companion]") {
  const Playground ground;
  const mode_t before = ::umask(077);
  const auto companion = ground.open(0660);
  ::umask(before);
  CHECK((stat_of(ground.file()).st_mode & 07777) == 0660);
}

TEST_CASE("of many processes that make the companion at once all get the same, and it is complete", "[companion][process]") {
  constexpr int kProcesses = 16, kRounds = 12;
  struct Board {
    std::atomic<int> arrived{0};
    ino_t inode[kProcesses];
    bool complete[kProcesses];
  };
  for (int round = 0; round < kRounds; ++round) {
    const Playground ground;
    const Shared<Board> board;
    std::vector<Child> children;
    for (int p = 0; p < kProcesses; ++p)
      children.emplace_back([&, p] {
        board->arrived.fetch_add(1);
        while (board->arrived.load() < kProcesses) std::this_thread::yield();
        const auto companion = ground.open();
        board->inode[p] = companion->file_stat().st_ino;
        board->complete[p] = companion->header().magic.load() == kMagic && companion->segments() == 1;
        return 0;
      });
    for (Child& child : children) REQUIRE(child.wait() == Exit{0, 0});
    const ino_t inode = stat_of(ground.file()).st_ino;
    for (int p = 0; p < kProcesses; ++p) {
      CHECK(board->inode[p] == inode);
      CHECK(board->complete[p]);
    }
    CHECK(support::entries(ground.dir.path()) == 1);
  }
}

TEST_CASE("a process killed while it makes a companion leaves nothing", "[companion][process]") {
  const Playground ground;
  const auto killed_at = [&](auto script) {
    Child child{[&] {
      FaultScript faults;
      script(faults);
      (void)ground.open(0600);
      return 0;
    }};
    CHECK(child.wait() == Exit{-1, SIGKILL});
    CHECK(support::entries(ground.dir.path()) == 0);
  };
  const auto die = [](auto...) { return ::raise(SIGKILL); };
  killed_at([&](FaultScript& f) { f.replace<&Syscalls::fchmod>(die); });
  killed_at([&](FaultScript& f) { f.replace<&Syscalls::fallocate>(die); });
  killed_at([&](FaultScript& f) { f.replace<&Syscalls::linkat>(die); });
  CHECK(ground.open()->header().magic.load() == kMagic);
}

TEST_CASE("where the file system has no nameless files, a companion is made under another name and nothing is left of it", "[companion]") {
  const Playground ground;
  const auto descriptors = support::open_descriptors();
  FaultScript faults;
  faults.replace<&Syscalls::openat>([](int dir, const char* path, int flags, mode_t mode) {
    if ((flags & O_TMPFILE) != O_TMPFILE) return sherlock::posix::real_syscalls().openat(dir, path, flags, mode);
    errno = EOPNOTSUPP;
    return -1;
  });
  SECTION("and all is well") {
    const auto companion = ground.open();
    CHECK(companion->header().magic.load() == kMagic);
    CHECK(support::entries(ground.dir.path()) == 1);
  }
  SECTION("and there is no room") {
    faults.fail<&Syscalls::fallocate>(ENOSPC);
    CHECK_THROWS_AS(ground.open(), std::system_error);
    CHECK(support::entries(ground.dir.path()) == 0);
  }
  CHECK(support::open_descriptors() == descriptors);
}

TEST_CASE("a companion that cannot be made is an error that names it, and nothing is left", "[companion]") {
  const Playground ground;
  const auto descriptors = support::open_descriptors();
  FaultScript faults;
  SECTION("no room") { faults.fail<&Syscalls::fallocate>(ENOSPC); }
  SECTION("no descriptor for the companion") { faults.fail<&Syscalls::openat>(EMFILE); }
  SECTION("no descriptor for the making") { faults.fail<&Syscalls::openat>(EMFILE, 2); }
  SECTION("no descriptor for what was made") { faults.fail<&Syscalls::openat>(EMFILE, 3); }
  SECTION("no publishing") { faults.fail<&Syscalls::linkat>(EIO); }
  SECTION("no locks") { faults.fail<&Syscalls::fcntl_lock>(ENOLCK); }
  SECTION("no locks, later") { faults.fail<&Syscalls::fcntl_lock>(ENOLCK, 3); }
  CHECK_THROWS_MATCHES(ground.open(), std::system_error, Catch::Matchers::Predicate<std::system_error>([&](const std::system_error& e) {
                         return std::string{e.what()}.find(ground.file()) != std::string::npos;
                       }, "names " + ground.file()));
  CHECK(support::open_descriptors() == descriptors);
  CHECK(first_robust_mutex() == nullptr);
  CHECK(ground.open()->header().magic.load() == kMagic);
}

TEST_CASE("a companion that was written over while it was open leaves nothing unmapped in the thread's list of robust mutexes", "[companion]") {
  const Playground ground;
  const support::Exit end = support::Child{[&] {
                              auto companion = ground.open();
                              std::memset(static_cast<void*>(&companion->slot(companion->presence().me().slot)), 0, sizeof(Slot));
                              companion.reset();
                              const auto page = reinterpret_cast<std::uintptr_t>(first_robust_mutex()) & ~std::uintptr_t{4095};
                              unsigned char there = 0;
                              return page == 0 || ::mincore(reinterpret_cast<void*>(page), 1, &there) == 0 ? 0 : 1;
                            }}.wait();
  CHECK(end.code == 0);
}

TEST_CASE("a companion of another boot is made anew while nobody is present, and fences go on from where they were", "[companion]") {
  const Playground ground;
  {
    const auto companion = ground.open();
    trace(*companion).store(1);
    companion->entry(0, 5).fence.store(1ull << 62);
  }
  const ino_t inode = stat_of(ground.file()).st_ino;
  forge(ground.file(), kBootAt, std::uint8_t{0xaa});
  forge(ground.file(), kBootAt + 1, std::uint8_t{0x55});
  const auto companion = ground.open();
  CHECK(trace(*companion).load() == 0);
  CHECK(companion->header().floor.load() >= 1ull << 62);
  CHECK(stat_of(ground.file()).st_ino == inode);
}

TEST_CASE("a companion of another format is made anew while nobody is present", "[companion]") {
  const Playground ground;
  { trace(*ground.open()).store(1); }
  forge(ground.file(), kFormatAt, kFormat + 0x10000);
  const auto companion = ground.open();
  CHECK(companion->header().format == kFormat);
  CHECK(trace(*companion).load() == 0);
}

TEST_CASE("a companion of another format that is in use is refused, with both formats in the text", "[companion][process]") {
  const Playground ground;
  Present other{ground};
  forge(ground.file(), kFormatAt, std::uint32_t{0xabc0def});
  const std::string before = content(ground.file());
  const Said said = failure_of([&] { (void)ground.open(); });
  CHECK(said.code == Errc::damaged);
  CHECK_THAT(said.text, says(ground.file()) && says("0xabc0def") && says([] {
               char text[16];
               std::snprintf(text, sizeof text, "%#x", kFormat);
               return std::string{text};
             }()));
  CHECK((content(ground.file()) == before));

  other.process().kill();
  CHECK(ground.open()->header().format == kFormat);
}

TEST_CASE("a companion in use by processes of another time namespace is refused", "[companion][process]") {
  const Playground ground;
  Present other{ground};
  forge(ground.file(), kTimeAt, std::uint64_t{12345});
  const Said said = failure_of([&] { (void)ground.open(); });
  CHECK(said.code == Errc::unavailable);
  CHECK_THAT(said.text, says(ground.file()) && says("time namespace"));
  other.process().kill();
  CHECK_NOTHROW(ground.open());
}

TEST_CASE("somebody else's file of the companion's name is refused and left as it is", "[companion]") {
  const Playground ground;
  const auto descriptors = support::open_descriptors();
  std::string foreign;
  SECTION("a large one") { foreign = std::string(3 << 20, 'x'); }
  SECTION("as large as ours") { foreign = std::string(kFirstSegment, 'x'); }
  SECTION("a small one") { foreign = "my favourite detective\n"; }
  SECTION("a very small one") { foreign = "x"; }
  ground.dir.write(".sherlock", foreign);
  std::filesystem::permissions(ground.file(), std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const Said said = failure_of([&] { (void)ground.open(); });
  CHECK(said.code == Errc::damaged);
  CHECK_THAT(said.text, says(ground.file()));
  CHECK((content(ground.file()) == foreign));
  CHECK(support::open_descriptors() == descriptors);
}

TEST_CASE("what is no file of our own at the companion's place is refused", "[companion]") {
  const Playground ground;
  SECTION("a hard link") {
    ground.dir.write("data", std::string(kFirstSegment, 'x'));
    std::filesystem::create_hard_link(ground.dir / "data", ground.file());
    CHECK_THROWS_WITH(ground.open(), says(ground.file()) && says("hard link"));
    CHECK((content(ground.dir / "data") == std::string(kFirstSegment, 'x')));
  }
  SECTION("a hard link that is not there while links are counted") {
    ground.dir.write("data", "");  // as a companion is that nobody has begun to write
    std::filesystem::create_hard_link(ground.dir / "data", ground.file());
    support::FaultScript script;
    int tricks = 0;
    script.replace<&support::Syscalls::fstat>([&](int fd, struct stat* found) {
      const int result = sherlock::posix::real_syscalls().fstat(fd, found);
      if (result == 0 && found->st_nlink == 2 && ++tricks == 1) found->st_nlink = 1;
      return result;
    });
    CHECK_THROWS_WITH(ground.open(), says(ground.file()) && says("hard link"));
    CHECK(content(ground.dir / "data").empty());
  }
  SECTION("a symbolic link") {
    std::filesystem::create_symlink(ground.dir / "data", ground.file());
    CHECK_THROWS(ground.open());
    CHECK_FALSE(std::filesystem::exists(ground.dir / "data"));
  }
  SECTION("a directory") {
    std::filesystem::create_directory(ground.file());
    CHECK_THROWS(ground.open());
  }
  SECTION("a pipe") {
    REQUIRE(::mkfifo(ground.file().c_str(), 0600) == 0);
    CHECK_THROWS_AS(ground.open(), sherlock::posix::Unsafe);
  }
  SECTION("somebody else's") {
    if (::geteuid() != 0) return skip("only root can give files away");
    { const auto companion = ground.open(); }
    REQUIRE(::chown(ground.file().c_str(), 65534, 65534) == 0);
    CHECK_THROWS_WITH(ground.open(), says(ground.file()) && says("65534"));
    // In a store that is shared on purpose it may be anybody's.
    CHECK_NOTHROW(ground.open(0660));
  }
}

TEST_CASE("a companion that was cut short is made anew while nobody is present", "[companion]") {
  const Playground ground;
  { trace(*ground.open()).store(1); }
  for (const off_t size : {off_t{0}, off_t{4096}, static_cast<off_t>(kFirstSegment) - 1}) {
    REQUIRE(::truncate(ground.file().c_str(), size) == 0);
    const auto companion = ground.open();
    CHECK(static_cast<std::uint64_t>(stat_of(ground.file()).st_size) == kFirstSegment);
    CHECK(companion->header().magic.load() == kMagic);
    CHECK(trace(*companion).load() == 0);
    trace(*companion).store(1);
  }
}

TEST_CASE("a companion that was cut short while it is in use is an error that says so", "[companion][process]") {
  const Playground ground;
  Present other{ground};
  const off_t size = GENERATE(0, 4096);
  REQUIRE(::truncate(ground.file().c_str(), size) == 0);
  const Said said = failure_of([&] { (void)ground.open(); });
  CHECK(said.code == Errc::damaged);
  CHECK_THAT(said.text, says(ground.file()));
  CHECK(stat_of(ground.file()).st_size == size);
  other.process().kill();
  CHECK_NOTHROW(ground.open());
}

TEST_CASE("a companion that lost its later segments is an error for who needs them", "[companion]") {
  const Playground ground;
  {
    const auto companion = ground.open();
    companion->grow(1);
    CHECK(companion->segments() == 2);
  }
  REQUIRE(::truncate(ground.file().c_str(), kFirstSegment + 5) == 0);
  const auto companion = ground.open();
  CHECK(failure_of([&] { companion->segments(); }).code == Errc::damaged);
}

TEST_CASE("a companion that has grown and is of another boot is one segment again, all of it empty", "[companion]") {
  const Playground ground;
  {
    const auto companion = ground.open();
    companion->grow(1);
    companion->grow(2);
    CHECK(companion->segments() == 3);
    companion->entry(2, 5).since.store(1);
  }
  forge(ground.file(), kBootAt, std::uint64_t{0});
  const auto companion = ground.open();
  CHECK(companion->segments() == 1);
  companion->grow(1);
  companion->grow(2);
  CHECK(companion->segments() == 3);
  CHECK(companion->entry(2, 5).since.load() == 0);
}

TEST_CASE("processes that grow the companion at once make one segment", "[companion][process]") {
  const Playground ground;
  const Shared<std::atomic<int>> arrived;
  std::vector<Child> children;
  for (int p = 0; p < 6; ++p)
    children.emplace_back([&] {
      const auto companion = ground.open();
      arrived->fetch_add(1);
      while (arrived->load() < 6) std::this_thread::yield();
      companion->grow(1);
      if (companion->segments() != 2) return 1;
      companion->entry(1, 3).since.fetch_add(1);
      return 0;
    });
  for (Child& child : children) CHECK(child.wait() == Exit{0, 0});
  const auto companion = ground.open();
  CHECK(companion->segments() == 2);
  CHECK(companion->entry(1, 3).since.load() == 6);
}

TEST_CASE("a process killed while it makes a companion anew leaves one that can be made anew", "[companion][process]") {
  const Playground ground;
  { const auto companion = ground.open(); }
  std::minstd_rand random{42};
  int killed_inside = 0;
  for (int round = 0; round < 60; ++round) {
    const Shared<std::atomic<int>> begun;
    Child child{[&] {
      for (;;) {
        forge(ground.file(), kBootAt, std::uint64_t{0});
        begun->store(1);
        (void)ground.open();
        begun->store(2);
      }
      return 0;
    }};
    REQUIRE(eventually([&] { return begun->load() != 0; }));
    std::this_thread::sleep_for(std::chrono::microseconds{random() % 1500});
    child.kill();
    killed_inside += begun->load() == 1;
    const auto companion = ground.open();
    CHECK(companion->header().magic.load() == kMagic);
    CHECK(companion->segments() == 1);
    CHECK(support::entries(ground.dir.path()) == 1);
  }
  CHECK(killed_inside > 0);
}

TEST_CASE("a companion whose making anew was interrupted is made anew", "[companion]") {
  const Playground ground;
  { trace(*ground.open()).store(1); }
  forge(ground.file(), 0, std::uint64_t{0});
  CHECK(trace(*ground.open()).load() == 0);
}

TEST_CASE("a companion that another process does not finish making anew is an error that says so, in bounded time", "[companion][process]") {
  // A second is a hundredth of one here.
  class QuickClock final : public sherlock::Clock {
   public:
    std::chrono::nanoseconds monotonic() const override { return sherlock::real_clock().monotonic() * 100; }
    std::chrono::nanoseconds boottime() const override { return sherlock::real_clock().boottime(); }
    std::chrono::system_clock::time_point wall() const override { return sherlock::real_clock().wall(); }
    void sleep_until(std::chrono::nanoseconds, std::stop_token) override {}
  };
  const Playground ground;
  { const auto companion = ground.open(); }
  support::Pipe ready;
  Child stopped{[&] {
    const int fd = ::open(ground.file().c_str(), O_RDWR | O_CLOEXEC);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = kInitByte;
    lock.l_len = 1;
    if (::fcntl(fd, F_OFD_SETLK, &lock) != 0) return 1;
    ready.tell();
    Child::sleep();
    return 0;
  }};
  REQUIRE(ready.hear());
  QuickClock quick;
  sherlock::Clock* const before = sherlock::set_clock(&quick);
  const Said said = failure_of([&] { (void)ground.open(); });
  sherlock::set_clock(before);
  CHECK(said.code == Errc::busy);
  CHECK_THAT(said.text, says(ground.file()));
  stopped.kill();
  CHECK_NOTHROW(ground.open());
}

TEST_CASE("a full file system is an error, not a crash, and what is there goes on working", "[companion][process]") {
  if (::geteuid() != 0) return skip("only root can mount a small file system");
  const support::TempDir dir;
  if (::mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=1280k,mode=0700") != 0) return skip("this container may not mount a tmpfs");
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{dir.path()};
  const sherlock::posix::UniqueFd directory{::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  const Companion::Place place{directory.get(), ".sherlock", dir / ".sherlock", {}};

  SECTION("when the companion is to be made") {
    dir.write("ballast", std::string(900 << 10, 'x'));
    CHECK_THROWS_MATCHES(Companion::open(place), std::system_error, Catch::Matchers::Predicate<std::system_error>([](const std::system_error& e) {
                           return e.code().value() == ENOSPC;
                         }, "is ENOSPC"));
    CHECK(support::entries(dir.path()) == 1);
  }
  SECTION("when it is to grow") {
    const auto companion = Companion::open(place);
    CHECK_THROWS_MATCHES(companion->grow(1), std::system_error, Catch::Matchers::Predicate<std::system_error>([](const std::system_error& e) {
                           return e.code().value() == ENOSPC;
                         }, "is ENOSPC"));
    CHECK(companion->segments() == 1);
    // Every byte that is mapped can be written.
    for (std::uint32_t i = 0; i < kFirstEntries; ++i) companion->entry(0, i).since.store(1);
    CHECK(Companion::open(place)->segments() == 1);
  }
}
