#!/usr/bin/env bash
# Installs the servers that tests and benchmarks run against, and the tools that make clients in other languages, from
# Debian's packages; asks for root. Tests that need a server install what they miss by themselves, but two that do so at the
# same time stand in each other's way; the test of the Python client names this script.
set -euo pipefail

declare -A package_of=(
  [db_bench]=rocksdb-tools
  [redis-server]=redis-server
  [etcd]=etcd-server
  [radosgw]=radosgw
  [ceph-mon]=ceph-mon
  [ceph-osd]=ceph-osd
  [protoc]=protobuf-compiler
  [grpc_python_plugin]=protobuf-compiler-grpc
  [protoc-gen-go]=protoc-gen-go
  [protoc-gen-go-grpc]=protoc-gen-go-grpc
)

missing=()
for program in "${!package_of[@]}"; do
  command -v "$program" > /dev/null || missing+=("${package_of[$program]}")
done
# Not programs: what protoc imports, and a module of Debian's own Python.
[ -e /usr/include/google/protobuf/any.proto ] || missing+=(libprotobuf-dev)
/usr/bin/python3 -c "import grpc" 2> /dev/null || missing+=(python3-grpcio)
if [ "${#missing[@]}" -gt 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
