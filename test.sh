#!/usr/bin/env bash
# Installs what the tests need (says so first), then runs them all: format, lints, tests, and the lab.
#   ./test.sh            everything
#   ./test.sh --quick    without the lab
set -euo pipefail
cd "$(dirname "$0")"

packages=(
  nftables iptables ipset conntrack iproute2 nginx-light haproxy dnsmasq knot bind9 bind9-utils unbound openssl
  openssh-server openssh-client python3 iputils-ping hping3 socat util-linux
)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
  echo "The lab runs real daemons. Missing Debian packages: ${missing[*]}"
  if [[ $(id -u) -eq 0 ]]; then
    apt-get update -q
    # Nothing is started: the lab runs its own copies inside its namespaces.
    policy=/usr/sbin/policy-rc.d
    if [[ ! -e $policy ]]; then
      printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod +x "$policy"
      trap 'rm -f "$policy"' EXIT
    fi
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" >/dev/null
  elif [[ -t 0 ]]; then
    read -r -p "Install them with sudo apt-get? [y/N] " answer
    [[ $answer == [yY]* ]] && sudo apt-get update -q && sudo apt-get install -y --no-install-recommends "${missing[@]}"
  else
    echo "Not root and nobody to ask: scenarios that need them are SKIPPED."
  fi
fi

cargo fmt --all --check
# Clippy stands in for the compiler of our own crates, so that one build lints and makes: `cargo clippy` before it would
# check every crate of others a second time, some minutes of a cold run.
driver=$(command -v clippy-driver || true)
if [[ -n $driver ]]; then
  export RUSTC_WORKSPACE_WRAPPER=$driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__
else
  echo "clippy is not here: nothing is linted"
fi
# Everything is built with the lake and once; that netwhy also stands without it is only checked.
everything=(--workspace --features netwhy-cli/lake)
if cargo nextest --version >/dev/null 2>&1; then
  cargo nextest run "${everything[@]}"
else
  cargo test "${everything[@]}"
fi
cargo check --quiet --package netwhy-cli
if cargo deny --version >/dev/null 2>&1; then
  cargo deny --offline check bans licenses sources
fi
if [[ ${1:-} != --quick ]]; then
  cargo build --quiet "${everything[@]}"
  # It exits 1 when a scenario was missed, as some are; the gate judges the whole.
  target/debug/netwhy lab score --jobs 3 --out target/lab.json || [[ $? -eq 1 ]]
  target/debug/xtask gate target/lab.json
  target/debug/netwhy lab score --ends both --jobs 3 --out target/lab-both.json || [[ $? -eq 1 ]]
  target/debug/xtask gate target/lab-both.json
fi
