#!/bin/sh
# Install what the tests with servers and with a browser take from the system, on Debian or Ubuntu.
# As root, or with sudo. Nothing else in this project needs a system package.
set -eu

if [ "$(id -u)" -eq 0 ]; then as_root=""; else as_root="sudo"; fi
export DEBIAN_FRONTEND=noninteractive

# The package makes and starts a cluster of its own by default; the tests make theirs.
$as_root mkdir -p /etc/postgresql-common
[ -e /etc/postgresql-common/createcluster.conf ] ||
    echo "create_main_cluster = false" | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null

$as_root apt-get update
$as_root apt-get install --yes --no-install-recommends postgresql chromium git make openssl
