#!/bin/sh
# SPDX-License-Identifier: MIT
# judge.sh SHERLOCK_CONFORM PLUGIN: holds the backend to the contract, and removes the store afterwards.
set -eu
store=$(mktemp -d)
trap 'rm -rf "$store"' EXIT
"$1" --plugin "$2" --backend record --client "$store"
