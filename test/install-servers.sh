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
  [prometheus]=prometheus
  [rsync]=rsync
  [curl]=curl
  [systemd-analyze]=systemd
  [docker-compose]=docker-compose
  [go]=golang-go
  [buildah]=buildah
  [runc]=runc
  [mmdebstrap]=mmdebstrap
  [protoc]=protobuf-compiler
  [grpc_python_plugin]=protobuf-compiler-grpc
  [grpc_java_plugin]=protobuf-compiler-grpc-java-plugin
  [protoc-gen-go]=protoc-gen-go
  [protoc-gen-go-grpc]=protoc-gen-go-grpc
)

missing=()
for program in "${!package_of[@]}"; do
  command -v "$program" > /dev/null || missing+=("${package_of[$program]}")
done
# Not programs: what protoc imports, a module of Debian's own Python, and sources of a Go library.
[ -e /usr/include/google/protobuf/any.proto ] || missing+=(libprotobuf-dev)
/usr/bin/python3 -c "import grpc" 2> /dev/null || missing+=(python3-grpcio)
[ -e /usr/share/gocode/src/github.com/Masterminds/sprig ] || missing+=(golang-github-masterminds-sprig-dev)
if [ "${#missing[@]}" -gt 0 ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi
