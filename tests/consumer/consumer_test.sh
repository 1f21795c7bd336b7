#!/bin/bash
# SPDX-License-Identifier: MIT
# consumer_test.sh pkg-config|cmake|subproject|program BUILD_DIR SOURCE_DIR
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
    meson setup "$work/build" "$work/project" --wrap-mode=nodownload -Dbuildtype=plain
    meson compile -C "$work/build"
    run_it "$work/build/consumer"
    ;;
  program)
    install_it
    test -z "$(find "$work/stage" -name '*internal*')" # what only tests need stays at home
    export LD_LIBRARY_PATH=$libdir
    version=$(sed -n 's/^Version: //p' "$pc")
    "$prefix/bin/sherlock" --version | tee "$work/said"
    grep -qF "$version" "$work/said"
    ;;
  *)
    echo "unknown way: $way" >&2
    exit 64
    ;;
esac
