#!/usr/bin/env bash
# Makes a bare Debian 12 an OpenStack control plane for tests: keystone, placement, glance, neutron and nova, whose
# hypervisor is nova's FakeDriver. Run by `make openstack`, inside that Debian: `install.sh packages` with a network,
# then `install.sh configure` without one. Passwords are made here, and stay in this root.
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
HERE=127.0.0.1
SERVICES=(keystone placement glance neutron nova)
log() { echo "openstack: $(date +%T) $*"; }

packages() {
  # Nothing is started while it is installed: there is no init to do it.
  printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
  printf 'APT::Install-Recommends "false";\nDpkg::Options {"--force-unsafe-io";};\n' > /etc/apt/apt.conf.d/90plane
  printf 'path-exclude=/usr/share/doc/*\npath-exclude=/usr/share/man/*\n' > /etc/dpkg/dpkg.cfg.d/90plane
  for one in "${SERVICES[@]}"; do echo "$one $one/configure_db boolean false"; done | debconf-set-selections
  log "the list of packages"
  apt-get update -qq
  log "database and message broker"
  apt-get install -y -qq mariadb-server rabbitmq-server >/dev/null
  log "keystone, placement, glance"
  apt-get install -y -qq keystone placement-api glance-api python3-pymysql >/dev/null
  log "neutron, nova"
  # Not nova-compute, which needs qemu and libvirt: its module is in python3-nova.
  apt-get install -y -qq neutron-api neutron-rpc-server nova-api nova-conductor nova-scheduler >/dev/null
  # Whatever was left half configured is named, and fails here.
  dpkg --configure -a
  apt-get clean
  rm /usr/sbin/policy-rc.d
}

"$@"
