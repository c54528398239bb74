#!/bin/sh
# install.sh [--tuned-dlib] image: makes this Debian 12 the machine image of all tiers, and leaves nothing of whoever
#   made it: no key, no log, no machine's id. Packer runs this.
# install.sh [--tuned-dlib] web | controller | workers | relay …: makes this machine run these tiers, with the settings of
#   /etc/facefleet/facefleet.env. A plain instance's user data may run this.
# Run as root from anywhere, again at will. --tuned-dlib compiles dlib for the processors of this kind of instance:
# 10 minutes, and 2 GB of memory; README.md says what it brings. pip's own PIP_FIND_LINKS and PIP_NO_INDEX hold.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
home=/opt/facefleet
export DEBIAN_FRONTEND=noninteractive

tuned=
if [ "${1:-}" = --tuned-dlib ]; then
  tuned=yes
  shift
fi
[ $# -gt 0 ] || { echo "usage: install.sh [--tuned-dlib] image | TIER…" >&2; exit 2; }

# Installs those of these Debian packages that are missing: without a network, if none is.
packages() {
  missing=
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  apt-get update -qq
  # Debian's own daily update may be at it just now.
  # shellcheck disable=SC2086 # one word for each
  apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends $missing >/dev/null
}

# The release that vendor/dlib stands in for, from its source.
tune_dlib() {
  packages build-essential cmake python3-dev libopenblas-dev liblapack-dev
  case $(uname -m) in
    x86_64) flags="-O3 -march=x86-64-v3" ;;
    aarch64) flags="-O3 -mcpu=neoverse-n1" ;;
    *) flags=-O3 ;;
  esac
  release=$("$home/bin/pip" show dlib | sed -n 's/^Version: \([0-9.]*[0-9]\)\.post.*/\1/p')
  # Without ".post" it is compiled already.
  [ -n "$release" ] || return 0
  "$home/bin/pip" uninstall --quiet --yes dlib-bin
  CXXFLAGS=$flags "$home/bin/pip" install --quiet --no-deps --no-binary dlib "dlib==$release"
}

# Security updates come by themselves; nothing else changes. Machines that stay boot at night if an update needs it, the
# controller first; a worker does not: it is short-lived, and comes back from the next image.
update_by_itself() {
  packages unattended-upgrades
  install -m 0644 "$here/apt.conf" /etc/apt/apt.conf.d/90facefleet
  for timer in apt-daily apt-daily-upgrade; do
    install -D -m 0644 "$here/apt-timer.conf" "/etc/systemd/system/$timer.timer.d/facefleet.conf"
  done
  # Python in memory for the sake of updates at shutdown, of which there are none.
  systemctl --quiet disable unattended-upgrades.service
}

# What an image must not hold, since all its instances would.
clean_up() {
  ! command -v cloud-init >/dev/null || cloud-init clean --logs --seed
  rm -rf /etc/ssh/ssh_host_* /root/.ssh /home/*/.ssh /root/.cache /home/*/.cache /root/.*_history /home/*/.*_history
  rm -rf /var/lib/systemd/random-seed /var/lib/cloud/instance* /var/lib/dhcp/* /var/lib/apt/lists/* /var/cache/apt/*.bin
  rm -rf /etc/facefleet/facefleet.env /var/lib/facefleet /var/lib/private /var/lib/caddy
  apt-get clean
  ! command -v journalctl >/dev/null || journalctl --quiet --flush --rotate --vacuum-size=1 2>/dev/null || :
  find /var/log -type f -delete
  # Empty, it is made anew at the first boot; without the file, all units would be enabled as Debian suggests.
  : >/etc/machine-id
  rm -f /var/lib/dbus/machine-id
}

packages python3-venv
if [ "$1" = image ]; then
  for stage in init config final; do
    install -D -m 0644 "$here/cloud-init.conf" "/etc/systemd/system/cloud-$stage.service.d/facefleet.conf"
  done
  packages caddy
  # Ours starts it, where the web tier is.
  systemctl --quiet disable caddy.service
  [ ! -d /run/systemd/system ] || systemctl --quiet stop caddy.service
fi
"$here/../systemd/install.sh" "$@"
[ -z "$tuned" ] || tune_dlib
# Here and once, not by each worker at its start. Beside, then renamed: what was not finished is made again.
if [ ! -e "$home/models" ]; then
  "$home/bin/python" -m facefleet.recognition.convert "$home/models.part"
  mv "$home/models.part" "$home/models"
fi
"$home/bin/python" -m compileall -q "$home/lib" >/dev/null || :
update_by_itself
[ "$1" != image ] || clean_up
