#!/usr/bin/env bash
# Installs the servers that tests and benchmarks run against, from Debian's packages; asks for root. Each test installs
# what it misses by itself, but two that do so at the same time stand in each other's way.
set -euo pipefail

declare -A package_of=(
  [db_bench]=rocksdb-tools
  [redis-server]=redis-server
  [etcd]=etcd-server
  [radosgw]=radosgw
  [ceph-mon]=ceph-mon
  [ceph-osd]=ceph-osd
)

missing=()
for program in "${!package_of[@]}"; do
  command -v "$program" > /dev/null || missing+=("${package_of[$program]}")
done
if [ "${#missing[@]}" -gt 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
