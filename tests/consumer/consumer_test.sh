#!/bin/bash
# SPDX-License-Identifier: MIT
# consumer_test.sh pkg-config|cmake|subproject|program|addon|new_backend BUILD_DIR SOURCE_DIR
# Installs the library that was built into a temporary place and is its user there, the way other projects are.
set -euo pipefail
way=$1 build=$2 source=$3
here=$source/tests/consumer
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install_it() {
  meson install -C "$build" --no-rebuild --quiet --destdir "$work/stage"
  pc=$(find "$work/stage" -name sherlock.pc)
  libdir=$(dirname "$(dirname "$pc")")
  prefix=$work/stage$(sed -n 's/^prefix=//p' "$pc")
}

run_it() {
  mkdir "$work/locks"
  chmod 700 "$work/locks"
  LD_LIBRARY_PATH=${libdir:-} "$1" "$work/locks"
}

refused() { if "$@"; then return 1; fi; }

# add_on PROJECT: builds somebody's plug-in against the installed library, and has the installed programs find it.
add_on() {
  export PKG_CONFIG_PATH=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/stage LD_LIBRARY_PATH=$libdir PATH=$prefix/bin:$PATH
  meson setup "$work/build" "$1" -Dwerror=true
  meson compile -C "$work/build"
}

case $way in
  pkg-config)
    install_it
    export PKG_CONFIG_PATH=$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work/stage
    read -ra flags <<<"$(pkg-config --cflags --libs sherlock)"
    "${CXX:-c++}" -std=c++20 -Wall -Wextra -Wpedantic -Werror "$here/main.cpp" -o "$work/consumer" "${flags[@]}"
    readelf -d "$work/consumer" | grep -F 'libsherlock.so.0.1]' # the soname promises no more than one minor version
    readelf -d "$libdir/libsherlock.so" | grep NODELETE
    run_it "$work/consumer"
    ;;
  cmake)
    install_it
    cmake -G Ninja -S "$here" -B "$work/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Debug
    cmake --build "$work/build"
    run_it "$work/build/consumer"
    ;;
  subproject)
    mkdir -p "$work/project/subprojects"
    cp "$here/subproject/meson.build" "$here/main.cpp" "$work/project"
    ln -s "$source" "$work/project/subprojects/sherlock"
    meson setup "$work/build" "$work/project" --wrap-mode=nodownload -Dbuildtype=plain -Dunity=on -Dunity_size=10
    meson compile -C "$work/build" consumer
    run_it "$work/build/consumer"
    ;;
  program)
    install_it
    test -z "$(find "$work/stage" -name '*internal*')" # what only tests need stays at home
    export LD_LIBRARY_PATH=$libdir
    version=$(sed -n 's/^Version: //p' "$pc")
    mkdir -m 700 "$work/locks"
    "$prefix/bin/sherlock" --version | tee "$work/said"
    grep -qF "$version" "$work/said"
    test "$(env -u LD_LIBRARY_PATH "$prefix/bin/sherlock" -C "$work/locks" run nightly -- echo ran)" = ran # needs no library of ours
    ;;
  addon)
    install_it
    add_on "$source/docs/examples/addon"
    meson test -C "$work/build" --print-errorlogs --timeout-multiplier 2 | tee "$work/said" # judged by the installed sherlock-conform, clause by clause
    grep -qE '^Ok: +1' "$work/said"
    # Installed, it is found by its name.
    mkdir -p "$libdir/sherlock" "$work/locks"
    cp "$work/build/libsherlock-record.so" "$libdir/sherlock"
    export SHERLOCK_PLUGIN_PATH=$libdir/sherlock
    sherlock backends | grep -E '^record .* host .* fences'
    test "$(sherlock -b record -C "$work/locks" run nightly -- echo ran)" = ran
    sherlock-conform --backend record --client "$work/locks" --clause 1
    ;;
  new_backend)
    install_it
    "$source/tools/dev/new_backend" my-store "$work/project"
    refused grep -rE 'RecordLock|record_lock|sherlock-record|record::|"record"' "$work/project"
    refused "$source/tools/dev/new_backend" my-store "$work/project" # never over what is there
    refused "$source/tools/dev/new_backend" ../evil "$work/other"
    add_on "$work/project"
    mkdir "$work/locks"
    # Enough to see that it is the example under another name, which is judged whole.
    sherlock-conform --plugin "$work/build/libsherlock-my-store.so" --backend my-store --client "$work/locks" --clause 1 --clause 2 --clause 6 --clause 20 --clause 29
    ;;
  *)
    echo "unknown way: $way" >&2
    exit 64
    ;;
esac
