#!/bin/sh
# build.sh [--base IMAGE] [--platform PLATFORM] TARGET [NAME] [-- OPTION …]: builds one of the container images of
# ../Dockerfile (function, web, worker, controller, or tiers), by docker, podman or buildah, whichever is there; or by
# what BUILDER names. It prints the image's name: NAME, or facefleet-TARGET and the commit, as facefleet-function:35b1c74.
# PLATFORM is linux/amd64 or linux/arm64; to build for another machine than this one takes its emulation (qemu-user).
# OPTIONs are the builder's own.
# build.sh --tool, build.sh --version: which builder that is, and what stands for the commit.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

refuse() {
  echo "build.sh: $1" >&2
  exit 2
}

# The first of these that works.
builder() {
  for tool in ${BUILDER:-docker podman buildah}; do
    # Docker's command may be there without what it talks to.
    if command -v "$tool" >/dev/null && { [ "$tool" != docker ] || docker info >/dev/null 2>&1; }; then
      echo "$tool"
      return
    fi
  done
  refuse "none of docker, podman and buildah is there to build with: on Debian, apt-get install buildah"
}

# The commit; with a mark if the tree is another by now.
version() {
  git -C "$here/.." describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || date -u +%Y%m%d%H%M%S
}

base='' platform=''
while :; do
  case ${1:-} in
    --base) base=${2:?} && shift 2 ;;
    --platform) platform=${2:?} && shift 2 ;;
    --tool) builder && exit ;;
    --version) version && exit ;;
    *) break ;;
  esac
done
target=${1:-}
case $target in
  function | web | worker | controller | tiers) shift ;;
  *) refuse "say which of function, web, worker, controller, tiers: build.sh function" ;;
esac
name=facefleet-$target:$(version)
if [ $# -gt 0 ] && [ "$1" != -- ]; then
  name=$1
  shift
fi
[ "${1:-}" != -- ] || shift

tool=$(builder)
case ${platform:-linux/amd64} in
  linux/amd64 | linux/arm64) ;;
  *) refuse "PLATFORM is linux/amd64 or linux/arm64, not $platform" ;;
esac
set -- --target "$target" --tag "$name" "$@"
[ -z "$base" ] || set -- --build-arg "BASE=$base" "$@"
[ -z "$platform" ] || set -- --platform "$platform" "$@"
# Of an image there is to be one, for Lambda takes no list; and health checks have no place in OCI's form of images.
if [ "$tool" = docker ]; then
  docker build --provenance=false --file "$here/../Dockerfile" "$@" "$here/.." >&2
else
  "$tool" build --layers --format docker --file "$here/../Dockerfile" "$@" "$here/.." >&2
fi
echo "$name"
