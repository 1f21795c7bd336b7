// SPDX-License-Identifier: MIT
// 1,000 to 100,000 names, all held at the same time: does a name cost more, the more of them there are? And the memory that they take.
#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>

#include "bench.hpp"
#include "many.hpp"
#include "proc.hpp"

namespace bench {
namespace {

namespace fs = std::filesystem;

enum Step { take_new, let_go, take_known, let_go_again, steps };

struct State {
  std::atomic<int> ready, done;
  double us[steps];
  std::int64_t own_kib;
};

// As many names as one process has descriptors for.
int share_of(const ManyKind& kind, int names) {
  rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return kind.descriptor_each ? std::min(names, static_cast<int>(std::min<rlim_t>(limit.rlim_max, 1 << 20)) - 500) : names;
}

// One of the processes that share the names; they work one after the other.
void work(State& s, const ManyKind& kind, int me, int processes, int from, int to) {
  const auto many = kind.make();
  s.ready.fetch_add(1);
  for (int step = 0; step < steps; ++step) {
    while (s.done < step * processes + me) stress::nap(stress::microseconds{200});
    const std::int64_t own = own_memory(), begin = now_ns();
    step == take_new || step == take_known ? many->take(from, to) : many->let_go();
    s.us[step] += static_cast<double>(now_ns() - begin) / 1000;
    if (step == take_new) s.own_kib += own_memory() - own;
    s.done.fetch_add(1);
  }
}

// KiB that lie on the disk, or in /dev/shm.
double size_of(const stress::Store& store) {
  const fs::path root = store.root();
  std::int64_t blocks = 0;
  const auto add = [&](const fs::path& path) {
    struct stat facts {};
    if (stat(path.c_str(), &facts) == 0) blocks += facts.st_blocks;
  };
  if (store.is_files())
    for (const auto& entry : fs::recursive_directory_iterator{root}) add(entry.path());
  else
    for (const auto& entry : fs::directory_iterator{root.parent_path()})
      if (entry.path().filename().string().starts_with(root.filename().string())) add(entry.path());
  return static_cast<double>(blocks) / 2;
}

struct Outcome {
  double us[steps];  // all names together
  double own_kib, store_kib;
};

Outcome measure(const ManyKind& kind, int names) {
  const stress::Shared<State> s;
  const int share = share_of(kind, names), processes = (names + share - 1) / share;
  Children all;
  for (int i = 0; i < processes; ++i) all.add([&, i] { work(*s, kind, i, processes, i * share, std::min(names, (i + 1) * share)); });
  all.join();
  Outcome o{};
  std::copy(std::begin(s->us), std::end(s->us), o.us);
  o.own_kib = static_cast<double>(s->own_kib);
  if (kind.store) o.store_kib = size_of(*kind.store);
  return o;
}

class Curves {
 public:
  explicit Curves(Bench& bench) : bench_{bench} {}

  void add(const std::string& who, int names, const Outcome& o) { of_[who][names].push_back(o); }

  void tell() {
    for (const auto& [who, curve] : of_) {
      for (const auto& [names, outcomes] : curve) {
        for (const auto& [step, what] : {std::pair{take_new, "a new name is taken"}, {take_known, "a known name is taken"}, {let_go, "a name is let go"}})
          row(what, who, us(outcomes, step) / names, "us", names);
        row("memory of the process for a held name", who, middle(outcomes, &Outcome::own_kib) * 1024 / names, "bytes", names);
        if (who.starts_with("sherlock"))
          row("memory or disk of the store for a name", who, middle(outcomes, &Outcome::store_kib) * 1024 / names, "bytes", names);
      }
      if (who.starts_with("sherlock")) promises(who, curve);
    }
  }

 private:
  using Curve = std::map<int, std::vector<Outcome>>;

  template <class Member>
  static double middle(const std::vector<Outcome>& outcomes, Member member) {
    std::vector<double> values;
    for (const Outcome& o : outcomes) values.push_back(o.*member);
    return median(values);
  }
  static double us(const std::vector<Outcome>& outcomes, Step step) {
    std::vector<double> values;
    for (const Outcome& o : outcomes) values.push_back(o.us[step]);
    return median(values);
  }

  void row(const std::string& what, const std::string& who, double value, const char* unit, int names) {
    bench_.report.add({what, who, value, unit, {}, names, "names"});
  }

  void promises(const std::string& who, const Curve& curve) {
    const auto bounded = [&](const std::string& what, double value, const char* unit, double bound) {
      bench_.report.add({what, who, value, unit, Bound{bound}});
    };
    const auto& [few, some] = *curve.begin();
    const auto& [lots, all] = *curve.rbegin();
    if (lots < 100'000) return;
    for (const auto& [step, what] : {std::pair{take_new, "a new name"}, {take_known, "a known name"}})
      bounded(fmt::format("{} of 100,000, times one of 1,000", what), us(all, step) / lots / (us(some, step) / few), "x", 1.5);
    const double taken = us(all, take_new) / 1e6, released = us(all, let_go) / 1e6, store = middle(all, &Outcome::store_kib);
    if (who == "sherlock shm") {
      bounded("100,000 names taken and held", taken, "s", 0.1);
      bounded("100,000 names in the segment", store / 1024, "MiB", 32);
    } else if (who == "sherlock sqlite") {
      bounded("100,000 names taken and held", taken, "s", 1.0);
      bounded("100,000 names released", released, "s", 1.0);
      bounded("100,000 names on the disk afterwards", store * 1024 / 1e6, "MB", 20);
    }
  }

  Bench& bench_;
  std::map<std::string, Curve> of_;
};

}  // namespace

void names(Bench& bench) {
  // A store of its own each time, all of them kept to the end: ext4 is slow to make files where such have just been removed.
  std::vector<std::unique_ptr<stress::Store>> stores;
  Curves curves{bench};
  int number = 0;
  for (const int names : {1000, 10'000, 100'000}) {
    if (bench.smoke() && names > 1000) break;
    const int times = names == 1000 ? bench.choose(5, 3, 1) : names == 10'000 ? bench.choose(3, 1, 1) : 1;  // the files of many are slow to be removed
    for (int time = 0; time < times; ++time) {
      bench.report.progress(fmt::format("{} names, turn {} of {}", names, time + 1, times));
      const std::string path = bench.place / fmt::format("names {}", ++number);
      for (const ManyKind& kind : {many_robust(path + ".robust"), many_flock(path + ".files"), many_rows(path + ".db")})
        curves.add(kind.name, names, measure(kind, names));
      for (const auto& store : bench.stores) {
        stores.push_back(std::make_unique<stress::Store>(store->backend().name()));
        curves.add("sherlock " + store->backend().name(), names, measure(many_of(*stores.back()), names));
      }
    }
  }
  curves.tell();
}

}  // namespace bench
