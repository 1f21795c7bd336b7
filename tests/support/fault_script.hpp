// SPDX-License-Identifier: MIT
// Makes the kernel fail on purpose, call by call, through the seam in posix/syscall.hpp. Everything is as before when the script
// ends. One script at a time; set it up while no other thread uses a lock.
//
//   FaultScript faults;
//   faults.fail<&Syscalls::flock>(EINTR, 1, 3);                         // the next three
//   faults.fail<&Syscalls::openat>(EMFILE, 2);                          // the second from now
//   faults.replace<&Syscalls::linkat>([](auto...) { return std::raise(SIGKILL); });
//   faults.calls<&Syscalls::flock>();                                   // since the script began to look at them
#pragma once

#include <atomic>
#include <cerrno>
#include <climits>
#include <functional>
#include <type_traits>
#include <utility>

#include "posix/syscall.hpp"

namespace support {

using sherlock::posix::Syscalls;

inline constexpr int kAlways = INT_MAX;

class FaultScript {
 public:
  FaultScript() = default;
  ~FaultScript() { sherlock::posix::syscalls() = sherlock::posix::real_syscalls(); }
  FaultScript(const FaultScript&) = delete;
  FaultScript& operator=(const FaultScript&) = delete;

  // The n-th call from now and the following ones, `times` in all, fail.
  template <auto Entry>
  void fail(int error, int nth = 1, int times = 1) {
    auto& tap = open<Entry>();
    tap.error = error;
    tap.first = tap.calls + nth;
    tap.last = times == kAlways ? kAlways : tap.first + times - 1;
  }

  // Every call from now on goes to `what`; where it returns a failure, it sets errno as the kernel would.
  template <auto Entry, class What>
  void replace(What what) {
    open<Entry>().instead = std::move(what);
  }

  // Looks on, without changing anything.
  template <auto Entry>
  void count() {
    open<Entry>();
  }
  template <auto Entry>
  int calls() const {
    return Tap<Entry, Type<Entry>>::state.calls;
  }

 private:
  template <auto Entry>
  using Type = std::remove_reference_t<decltype(std::declval<Syscalls&>().*Entry)>;

  template <auto Entry, class Function>
  struct Tap;
  template <auto Entry, class Result, class... Args>
  struct Tap<Entry, Result (*)(Args...)> {
    struct State {
      std::atomic<int> calls{0}, first{0}, last{-1}, error{0};
      std::function<Result(Args...)> instead;
    };
    static inline State state;

    static Result call(Args... args) {
      const int n = ++state.calls;
      if (n >= state.first && n <= state.last) {
        if constexpr (requires { requires Entry == &Syscalls::fallocate; }) return state.error;  // posix_fallocate leaves errno alone
        errno = state.error;
        return static_cast<Result>(-1);
      }
      return state.instead ? state.instead(args...) : (sherlock::posix::real_syscalls().*Entry)(args...);
    }
  };

  // A tap that an earlier script has left is as good as new.
  template <auto Entry>
  auto& open() {
    using Here = Tap<Entry, Type<Entry>>;
    auto& entry = sherlock::posix::syscalls().*Entry;
    if (entry != &Here::call) {
      Here::state.calls = Here::state.first = Here::state.error = 0;
      Here::state.last = -1;
      Here::state.instead = nullptr;
      entry = &Here::call;
    }
    return Here::state;
  }
};

}  // namespace support
