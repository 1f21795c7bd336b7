// SPDX-License-Identifier: MIT
#include "core/failure.hpp"

#include <cxxabi.h>
#include <fmt/core.h>

#include <cerrno>
#include <new>

#include "core/report.hpp"
#include "posix/file.hpp"

namespace sherlock::detail {
namespace {

struct Sorted {
  Errc code;
  const char* way_out;
};

Sorted sort_errno(int error) {
  switch (error) {
    case EACCES:
    case EPERM: return {Errc::unsafe, "check owner and mode"};
    case ELOOP: return {Errc::unsafe, "a symbolic link is in the way: remove it"};
    case ENOENT:
    case ENOTDIR: return {Errc::cannot_create, "make the parent directory first"};
    case EROFS: return {Errc::cannot_create, "the file system is read-only: name a directory elsewhere"};
    case EMFILE: return {Errc::system, "out of descriptors: raise `ulimit -n` or hold fewer locks at a time"};
    case ENFILE: return {Errc::system, "the system is out of descriptors: raise fs.file-max"};
    case ENOSPC:
    case EDQUOT: return {Errc::system, "make room, or name a directory elsewhere"};
    case ENOMEM: return {Errc::system, "out of memory"};
    case ENOSYS:
    case EOPNOTSUPP: return {Errc::unavailable, "the file system does not support this: name a directory on another one"};
    case ENOLCK: return {Errc::unavailable, "the kernel gives no more locks"};
    default: return {Errc::system, ""};
  }
}

[[noreturn]] void fail(Errc code, const std::string& text, std::string_view lock, std::string_view backend, std::error_code cause = {}) {
  const std::string of = lock.empty() ? "" : fmt::format("lock '{}' ", printable(lock));
  throw BackendException{code, fmt::format("{}({}): {}", of, backend, text), lock, backend, cause};
}

}  // namespace

void rethrow_as_backend(std::string_view lock, std::string_view backend) {
  try {
    throw;
  } catch (const LockException&) {
    throw;
  } catch (const abi::__forced_unwind&) {
    throw;  // pthread_cancel: not an error, and must not be stopped
  } catch (const Failure& f) {
    fail(f.code(), f.what(), lock, backend, f.cause());
  } catch (const posix::Unsafe& unsafe) {
    fail(Errc::unsafe, unsafe.what(), lock, backend);
  } catch (const posix::Unsupported& unsupported) {
    fail(Errc::unavailable, unsupported.what(), lock, backend);
  } catch (const std::system_error& e) {
    const Sorted sorted =
        e.code().category() == std::generic_category() || e.code().category() == std::system_category() ? sort_errno(e.code().value())
                                                                                                      : Sorted{Errc::unavailable, ""};
    fail(sorted.code, *sorted.way_out ? fmt::format("{}; {}", e.what(), sorted.way_out) : std::string{e.what()}, lock, backend, e.code());
  } catch (const std::bad_alloc&) {
    fail(Errc::system, "out of memory", lock, backend, std::make_error_code(std::errc::not_enough_memory));
  } catch (const std::exception& e) {
    fail(Errc::unavailable, e.what(), lock, backend);
  } catch (...) {
    fail(Errc::unavailable, "the backend threw something that is no std::exception", lock, backend);
  }
}

}  // namespace sherlock::detail
