// SPDX-License-Identifier: MIT
// A backend in a shared library of its own, which is loaded when somebody asks for it by name. In one source of that library:
//
//   SHERLOCK_PLUGIN(registry) {
//     registry.add(sherlock::backend<MyLock>({.name = "mine", .library = "libmine"}));
//   }
//
// The library is linked to libsherlock.so and called libsherlock-NAME.so, where NAME is the backend's. From then on
// configure({.backend = "mine"}), `sherlock -b mine` and `sherlock-conform --backend mine` find it in the plug-in directory; see
// Registry::find() and Registry::load().
//
// What a plug-in and the library share is C++: classes, and not only functions. So a plug-in carries the number of the ABI that it was
// built for in its ELF note ".note.sherlock", and one of another number is refused before any code of it has run, constructors included.
#pragma once

#include <sherlock/export.hpp>
#include <sherlock/registry.hpp>
#include <sherlock/version.hpp>

// Counts changes of what plug-ins see (classes, their members, virtual functions) within one minor version.
#define SHERLOCK_PLUGIN_REVISION 1

// The number. Until 1.0 every minor version has one of its own, as it has a soname; from 1.0 on, every major version.
#if SHERLOCK_VERSION_MAJOR == 0
#define SHERLOCK_PLUGIN_ABI (SHERLOCK_VERSION_MINOR * 1000 + SHERLOCK_PLUGIN_REVISION)
#else
#define SHERLOCK_PLUGIN_ABI (SHERLOCK_VERSION_MAJOR * 1000000 + SHERLOCK_PLUGIN_REVISION)
#endif

#define SHERLOCK_DETAIL_TEXT_OF(value) #value
#define SHERLOCK_DETAIL_TEXT(value) SHERLOCK_DETAIL_TEXT_OF(value)

// Begins the one function of a plug-in that the library calls, in the thread that asked for the backend, with no mutex of ours held. What
// it adds to `registry` is taken over as a whole when it returns, and nothing of it when it throws, adds nothing, adds a name that is
// taken, or, where it was asked for by a name, adds another. It may be called again, and in two threads at once. `registry` lives no longer
// than the call. Once in a library, outside of every namespace.
#define SHERLOCK_PLUGIN(registry)                                                  \
  /* An ELF note: sizes of owner and value, a type, the owner, the value. */       \
  asm(".pushsection .note.sherlock, \"a\", %note\n"                                \
      ".balign 4\n"                                                                \
      ".long 9, 4, 1\n"                                                            \
      ".asciz \"sherlock\"\n"                                                      \
      ".balign 4\n"                                                                \
      ".long " SHERLOCK_DETAIL_TEXT(SHERLOCK_PLUGIN_ABI) "\n"                      \
      ".popsection\n");                                                            \
  extern "C" SHERLOCK_API void sherlock_plugin_v1(::sherlock::Registry& registry); \
  extern "C" SHERLOCK_API void sherlock_plugin_v1(::sherlock::Registry& registry)
