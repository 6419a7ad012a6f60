#!/usr/bin/env bash
# Builds the image from the Dockerfile, runs it as production would, and prints each claim of the Dockerfile as it holds.
#
#   make image-check
#
# With a Docker (or podman) engine it uses that and the Dockerfile's own base. Without one, as root on Debian or Ubuntu, it
# makes a base of Debian packages with debootstrap (kept in the cache folder) and builds with buildah, without a daemon.
#
#   DEBIAN_SUITE    the base's Debian release                        bookworm
#   DEBIAN_MIRROR   where its packages come from                     where this machine's apt gets them from
#   PYTHON          whose pip configuration (private index, certificates) the build uses      .venv's, else python3
#   XDG_CACHE_HOME  keeps the base and buildah's storage in hangtag-image-check/; remove it to start afresh    ~/.cache
#
# The pip configuration reaches the build as a secret, and stays out of the image.

set -euo pipefail
cd "$(dirname "$0")/.."
umask 022

suite=${DEBIAN_SUITE:-bookworm}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/hangtag-image-check
image=hangtag:image-check
work=$(mktemp -d)
running=  # the process in the background: the build, then the service

say() { printf '%s\n' "$*"; }
ok() { say "ok    $*"; }
fail() { say "FAIL  $*" >&2; exit 1; }

# --- with an engine ---------------------------------------------------------------------------------------------------

with_engine() {
  container=hangtag-image-check-$$
  trap tidy_engine EXIT
  local hardened=(--read-only --cap-drop ALL --security-opt no-new-privileges)
  if [[ $engine == podman ]]; then
    build_options+=(--format docker)      # its own format has no HEALTHCHECK
    hardened+=(--read-only-tmpfs=false)  # it would put a tmpfs on /tmp unasked
  fi

  say "building with $engine"
  DOCKER_BUILDKIT=1 "$engine" build "${build_options[@]}" --tag "$image" .
  ok "the Dockerfile builds"

  probe() { "$engine" run --rm --interactive "${hardened[@]}" --entrypoint python "$image" - "$@" <deploy/image_probe.py; }
  look
  "$engine" run --detach --name "$container" "${hardened[@]}" --env HANGTAG_ANONYMOUS=true "$image" >"$work/id"
  "$engine" exec --interactive "$container" python - ask <deploy/image_probe.py || { "$engine" logs "$container"; fail "hangtag serve"; }
  local left=60
  until [[ $("$engine" inspect --format '{{.State.Health.Status}}' "$container") == healthy ]]; do
    ((left-- > 0)) || fail "the health check does not pass"
    sleep 1
  done
  ok "the health check passes"
  "$engine" stop --time 60 "$container" >"$work/stop"
  stopped "$("$engine" inspect --format '{{.State.ExitCode}}' "$container")"
}

tidy_engine() {
  "$engine" rm --force "$container" >"$work/log" 2>&1 || true
  "$engine" rmi "$image" >"$work/log" 2>&1 || true
  rm -rf "$work"
}

# --- without one ------------------------------------------------------------------------------------------------------

place=(--root "$cache/storage" --runroot "$cache/run")
storage() { buildah "${place[@]}" "$@"; }

with_buildah() {
  local missing=() tool
  for tool in buildah debootstrap; do command -v "$tool" >"$work/which" || missing+=("$tool"); done
  ((${#missing[@]} == 0)) || fail "no Docker engine answers, and without one this needs the Debian packages ${missing[*]}:
      apt-get update && apt-get install --yes --no-install-recommends buildah debootstrap
      (or start a Docker engine)"
  ((EUID == 0)) || fail "no Docker engine answers, and debootstrap and buildah must run as root: sudo make image-check"

  mkdir -p "$cache"
  exec 9>"$cache/lock"
  flock --nonblock 9 || fail "another image check is running ($cache/lock)"
  trap tidy EXIT
  tidy_storage  # what a killed check left

  local base
  base=localhost/hangtag-base:$suite
  storage inspect --type image "$base" >"$work/base" 2>&1 || make_base "$base"
  ok "a base image of $suite packages"
  say "building with buildah"
  buildah "${place[@]}" bud --isolation=chroot --network=host --pull-never --format docker --build-arg BASE="$base" \
    "${build_options[@]}" "${volumes[@]}" --tag "$image" . >"$work/build" 2>&1 &
  running=$!  # in the background, so that whoever ends this script ends the build too
  wait "$running" || { cat "$work/build"; fail "the Dockerfile does not build"; }
  running=
  ok "the Dockerfile builds"
  try_in_chroot
}

make_base() {
  local mirror
  # shellcheck disable=SC2016  # apt-get fills these in
  mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Created-By: Packages' 'Component: main' | sed -n 1p)}
  [[ -n $mirror ]] || fail "this machine's apt has no source for $suite; set DEBIAN_MIRROR"
  say "making a base image of $suite packages (once)"
  debootstrap --variant=minbase --include=python3,python3-venv "$suite" "$work/base.d" "$mirror" >"$work/debootstrap" 2>&1 ||
    { tail -n 20 "$work/debootstrap"; fail "debootstrap"; }
  rm -rf "$work"/base.d/var/cache/apt/archives/*.deb "$work"/base.d/var/lib/apt/lists/*
  tar --directory "$work/base.d" --create --file "$work/base.tar" .
  rm -rf "$work/base.d"
  local container
  container=$(storage from scratch)
  storage add --quiet "$container" "$work/base.tar" / >"$work/log"
  storage commit --quiet --rm "$container" "$1" >"$work/log"
  rm "$work/base.tar"
}

try_in_chroot() {
  local container
  container=$(storage from --pull-never "$image")
  root=$(storage mount "$container")
  mapfile -t environment < <(of_image '{{range .Docker.Config.Env}}{{println .}}{{end}}' | grep .)
  mapfile -t health < <(of_image '{{range .Docker.Config.Healthcheck.Test}}{{println .}}{{end}}' | grep .)
  mapfile -t command < <(of_image '{{range .Docker.Config.Entrypoint}}{{println .}}{{end}}{{range .Docker.Config.Cmd}}{{println .}}{{end}}' | grep .)
  user=$(of_image '{{.Docker.Config.User}}')
  local signal
  signal=$(of_image '{{.Docker.Config.StopSignal}}')

  probe() { (inside python - "$@" <deploy/image_probe.py); }
  look
  environment+=("HANGTAG_PORT=0" "HANGTAG_ANONYMOUS=true")
  : >"$work/serve"
  inside "${command[@]}" >"$work/serve" 2>&1 9>&- &
  running=$!
  local port
  until port=$(sed -n 's/^hangtag listens on .*:\([0-9]*\)$/\1/p' "$work/serve") && [[ -n $port ]]; do
    kill -0 "$running" 2>"$work/log" || { cat "$work/serve"; fail "hangtag serve ended"; }
    sleep 0.1
  done
  environment+=("HANGTAG_PORT=$port")
  probe ask || { cat "$work/serve"; fail "hangtag serve"; }
  [[ ${health[0]} == CMD ]] || fail "the image has no health check of its own: ${health[*]:-none}"
  (inside "${health[@]:1}") || fail "the health check does not pass"
  ok "the health check passes"
  kill -s "$signal" "$running"
  local code=0
  wait "$running" || code=$?
  running=
  stopped "$code"
}

of_image() { storage inspect --type image --format "$1" "$image"; }

# Become a command in the image as `docker run --read-only --security-opt no-new-privileges` runs it, on the host's network:
# its user, its environment, nothing writable. It replaces this shell, so that signals and exit codes are the command's own.
inside() {
  # shellcheck disable=SC2016  # the inner shell fills these in
  exec unshare --mount sh -euc '
    root=$1 user=$2; shift 2
    mount --rbind "$root" "$root"
    mount -o remount,bind,ro "$root"
    mount --rbind /proc "$root/proc"
    mount --rbind /dev "$root/dev"
    exec setpriv --no-new-privs chroot --userspec="$user" --groups= "$root" /usr/bin/env -i "$@"
  ' sh "$root" "$user" "${environment[@]}" "$@"
}

tidy() {
  if [[ -n $running ]]; then
    kill -TERM "$running" 2>"$work/log" || true
    wait "$running" || true
  fi
  tidy_storage
  rm -rf "$work"
}

tidy_storage() {
  storage rm --all >"$work/log" 2>&1 || true
  storage rmi "localhost/$image" >"$work/log" 2>&1 || true
}

# --- with either ------------------------------------------------------------------------------------------------------

look() {
  probe inspect
  probe sizes
}

stopped() {
  [[ $1 == 0 ]] || fail "on SIGTERM it exits with $1"
  ok "on SIGTERM it exits with 0"
}

# The build's options for this machine's pip configuration, and the local folders that it names.
build_options=() volumes=()
read_pip_configuration() {
  local python=${PYTHON:-python3} folder
  [[ -n ${PYTHON:-} || ! -x .venv/bin/python ]] || python=.venv/bin/python
  "$python" -m pip config list >"$work/pip" 2>"$work/log" || return 0
  (umask 077; "$python" deploy/pip_secret.py "$work" <"$work/pip")
  build_options+=(--secret "id=pip.conf,src=$work/pip.conf")
  [[ ! -e $work/ca.pem ]] || build_options+=(--secret "id=ca.pem,src=$work/ca.pem")
  while read -r folder; do volumes+=(--volume "$folder:$folder:ro"); done <"$work/folders"
}

build_options+=(--build-arg "REVISION=$(git rev-parse HEAD 2>"$work/log" || echo unknown)")
trap 'rm -rf "$work"' EXIT
read_pip_configuration
engine=
for candidate in docker podman; do
  if [[ -z $engine ]] && "$candidate" info >"$work/log" 2>&1; then engine=$candidate; fi
done
if [[ -n $engine ]]; then with_engine; else with_buildah; fi
say "the image is what the Dockerfile says."
