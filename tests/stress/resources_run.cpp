// SPDX-License-Identifier: MIT
// Too little of everything: room, inodes, descriptors, file size, address space, processes, a place to write. Whoever asks is told by an exception of ours or
// has what he asked for, nobody dies of it, who holds a lock can let it go, and when there is enough again all is well.
#include <fmt/core.h>
#include <sys/resource.h>

#include <fstream>
#include <functional>
#include <iterator>
#include <vector>

#include "own_mounts.hpp"
#include "store.hpp"

namespace stress {
namespace {

using namespace std::chrono_literals;

constexpr uid_t kNobody = 65534;

// What a scene tells its supervisor.
struct Told {
  std::atomic<std::uint64_t> refused, granted;
  char wrong[256];
};

class Scene {
 public:
  Scene(const Run& run, Told& told, Dice& dice) : run_{run}, told_{told}, dice_{dice} {}
  Dice& dice() { return dice_; }
  const std::string& backend() const { return run_.backend; }

  void wrong(const std::string& what) {
    if (told_.wrong[0] == '\0') what.copy(told_.wrong, sizeof told_.wrong - 1);
  }

  // Whether it was done; else the text of the refusal.
  std::string attempt(const std::function<void()>& verb) {
    try {
      verb();
      told_.granted.fetch_add(1);
      return {};
    } catch (const sherlock::BackendException& e) {
      told_.refused.fetch_add(1);
      return e.what();
    } catch (const std::bad_alloc&) {
      told_.refused.fetch_add(1);
      return "bad_alloc";
    } catch (const std::exception& e) {
      wrong(e.what());
      return e.what();
    }
  }
  std::string use(const Store& store, const std::string& name) {
    return attempt([&] {
      const auto lock = store.lock(name, {.timeout = 10s});
      lock->acquire();
      lock->release();
    });
  }
  void must_work(const Store& store, const char* when) {
    if (const std::string refusal = use(store, "x"); !refusal.empty()) wrong(fmt::format("{}: {}", when, refusal));
  }
  void must_be_refused(const Store& store, const char* when) {
    if (use(store, "x").empty()) wrong(fmt::format("{}: not refused", when));
  }

 private:
  const Run& run_;
  Told& told_;
  Dice& dice_;
};

// ------------------------------------------------------------------------------------------------------------------ room

// All that is left, to the last byte.
void fill_up(const std::string& directory) {
  std::ofstream ballast{directory + "/ballast", std::ios::binary};
  const std::string block(4096, 'x');
  while (ballast.write(block.data(), 4096).flush()) {
  }
}
void make_room() {
  for (const char* place : kOwnPlaces) unlink((std::string{place} + "/ballast").c_str());
}

// From far too small to nearly enough.
void small_disk(Scene& s) {
  mount_own_places(fmt::format("size={}k", 64 << s.dice().between(0, 5)));
  const Store store{s.backend()};
  for (int i = 0; i < 40; ++i) s.use(store, fmt::format("a name of some length, number {}", i));
}

void few_inodes(Scene& s) {
  mount_own_places(fmt::format("size=16m,nr_inodes={}", s.dice().between(2, 12)));
  std::unique_ptr<Store> store;
  try {
    store = std::make_unique<Store>(s.backend());
  } catch (const std::system_error&) {
    return;  // not even the directory
  }
  for (int i = 0; i < 20; ++i) s.use(*store, std::to_string(i));
}

// Whoever has a lock lets it go, renews it, hands it on; whoever comes with a new name may be refused.
void full_while_held(Scene& s) {
  mount_own_places("size=16m");
  const Store store{s.backend()};
  s.must_work(store, "before");
  const auto held = store.lock("x"), lease = store.lock("lease", {.expire = 1h});
  held->acquire();
  lease->acquire();
  for (const char* place : kOwnPlaces) fill_up(place);
  if (const std::string refusal = s.attempt([&] {
        if (!held->renew() || !lease->renew()) s.wrong("lost on a full disk");
      });
      !refusal.empty())
    s.wrong("renew on a full disk: " + refusal);
  for (int i = 0; i < 3000; ++i)
    if (!s.use(store, fmt::format("{} {}", i, std::string(200, 'n'))).empty()) break;
  bool let_go = s.attempt([&] { held->release(); }).empty() && s.attempt([&] { lease->release(); }).empty();
  if (let_go) {
    // Another process takes it, and dies with it.
    waitpid(spawn([&] {
              const auto lock = store.lock("x", {.timeout = 10s});
              lock->acquire();
              kill(getpid(), SIGKILL);
            }),
            nullptr, 0);
    s.use(store, "x");
  }
  make_room();
  if (held->held()) held->release();
  if (lease->held()) lease->release();
  s.must_work(store, "when there is room again");
}

void read_only(Scene& s) {
  mount_own_places("size=16m");
  const Store store{s.backend()};
  if (!remount_own_places("size=16m", MS_RDONLY)) return s.wrong("cannot be made read-only");
  s.must_be_refused(store, "read-only");
  remount_own_places("size=16m");
  s.must_work(store, "writable again");
}

// No /dev/shm, or no /tmp: the first thing it can say is that there is none.
void no_place(Scene& s) {
  mount_own_places("size=16m");
  const Store store{s.backend()};
  if (s.backend() == "shm") {
    if (umount2("/dev/shm", MNT_DETACH) != 0 || mount("tmpfs", "/dev", "tmpfs", 0, "mode=0755") != 0) return s.wrong("/dev/shm stays");
  } else if (umount2("/tmp", MNT_DETACH) != 0 || mount("tmpfs", "/tmp", "tmpfs", MS_RDONLY, "mode=0755") != 0) {
    return s.wrong("/tmp stays");
  }
  s.must_be_refused(store, "without a place");
}

// ---------------------------------------------------------------------------------------------------------------- limits

void limit(int resource, rlim_t most) {
  rlimit now;
  getrlimit(static_cast<__rlimit_resource_t>(resource), &now);
  now.rlim_cur = std::min(most, now.rlim_max);
  setrlimit(static_cast<__rlimit_resource_t>(resource), &now);
}

// At each number of descriptors that may be too few; before the store is open, and when it is.
void few_descriptors(Scene& s) {
  const auto open_now = static_cast<rlim_t>(descriptors());
  for (const bool before : {true, false}) {
    const Store store{s.backend()};
    std::unique_ptr<sherlock::BaseLock> lock;
    if (!before) {
      s.must_work(store, "before");
      lock = store.lock("x");
    }
    for (rlim_t more = 0; more < 12; ++more) {
      limit(RLIMIT_NOFILE, open_now + more);
      s.use(store, fmt::format("{}", more));
      if (lock && s.attempt([&] { lock->acquire(); }).empty()) s.attempt([&] { lock->release(); });
    }
    limit(RLIMIT_NOFILE, RLIM_INFINITY);
    s.must_work(store, "with descriptors again");
  }
}

void small_files(Scene& s) {
  signal(SIGXFSZ, SIG_IGN);  // whoever limits his files gets it from any program that writes past the limit
  const Store store{s.backend()};
  limit(RLIMIT_FSIZE, static_cast<rlim_t>(s.dice().between(0, 3 << 20)));
  for (int i = 0; i < 20; ++i) s.use(store, std::to_string(i));
  limit(RLIMIT_FSIZE, RLIM_INFINITY);
  s.must_work(store, "with files of any size again");
}

void little_memory(Scene& s) {
  const Store store{s.backend()};
  long pages = 0;
  std::ifstream{"/proc/self/statm"} >> pages;
  limit(RLIMIT_AS, static_cast<rlim_t>(pages * sysconf(_SC_PAGESIZE) + s.dice().between(0, 4 << 20)));
  for (int i = 0; i < 20; ++i) s.use(store, std::to_string(i));
  limit(RLIMIT_AS, RLIM_INFINITY);
  s.must_work(store, "with memory again");
}

// No thread and no process is ever needed.
void no_processes(Scene& s) {
  if (geteuid() == 0 && (setgid(kNobody) != 0 || setuid(kNobody) != 0)) return s.wrong("cannot become nobody");
  limit(RLIMIT_NPROC, 0);
  const Store store{s.backend()};
  s.must_work(store, "without processes");
  const auto held = store.lock("y"), waits = store.lock("y");
  held->acquire();
  if (waits->try_acquire_for(5ms)) s.wrong("granted twice");
  held->release();
}

constexpr struct {
  const char* name;
  void (*play)(Scene&);
  bool mounts;
} kScenes[] = {
    {"a small disk", small_disk, true},          {"few inodes", few_inodes, true},   {"a disk that fills up", full_while_held, true},
    {"a read-only disk", read_only, true},       {"no place at all", no_place, true}, {"few descriptors", few_descriptors, false},
    {"files that may not grow", small_files, false}, {"little memory", little_memory, false}, {"no more processes", no_processes, false},
};

}  // namespace

void resources_run(const Run& run, Report& report) {
  const std::string no_mounts = obstacle_to([] { mount_own_places("size=1m"); });
  Dice dice{run.seed};
  const Shared<Told> told;
  std::uint64_t scenes = 0, wrong = 0, died = 0;
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(run.seconds * 1e9);
  do {
    for (const auto& scene : kScenes) {
      if ((scene.mounts && !no_mounts.empty()) || (!run.scene.empty() && run.scene != scene.name)) continue;
      told->wrong[0] = '\0';
      const auto seed = static_cast<std::uint64_t>(dice.between(0, INT64_MAX));
      const bool ended = reap(spawn([&] {
        alarm(60);
        Dice own{seed};
        Scene s{run, *told, own};
        scene.play(s);
      }));
      ++scenes;
      died += !ended;
      wrong += ended && told->wrong[0] != '\0';
      if (!ended || told->wrong[0] != '\0') fmt::print(stderr, "  {}: {}\n", scene.name, ended ? told->wrong : "the process died of it");
    }
  } while (now_ns() < end);
  report.count("scenes", scenes);
  report.count("acquisitions", told->granted);
  report.count("refusals", told->refused);
  if (!no_mounts.empty()) report.count("scenes without their own mounts left out", 5);
  report.broken("wrong answers", wrong);
  report.broken("died of it", died);
  report.broken("idle", told->refused == 0);
}

}  // namespace stress
