// SPDX-License-Identifier: MIT
// Preloaded into the program under test: every file system says that it is NFS. Mounting a real one takes a server and root.
#include <linux/magic.h>
#include <sys/vfs.h>

extern "C" int fstatfs(int, struct statfs* about) noexcept {
  *about = {};
  about->f_type = NFS_SUPER_MAGIC;
  return 0;
}
