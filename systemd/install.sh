#!/bin/sh
# install.sh [web] [controller] [workers] [relay]: makes this machine run these tiers, the first three if none is named,
# now and after each boot. Run as root from anywhere, again at will: what is there stays, settings above all.
# install.sh image: makes it a machine image of all tiers, whose instances run at boot what their user data names.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
home=/opt/facefleet settings=/etc/facefleet units=/etc/systemd/system

[ $# -gt 0 ] || set -- web controller workers
for role in "$@"; do
  case $role in
    web | controller | workers | relay) ;;
    image) [ $# -eq 1 ] || { echo "install.sh: an image is of all tiers" >&2; exit 2; } ;;
    *) echo "install.sh: there are web, controller, workers and relay, not $role" >&2; exit 2 ;;
  esac
done

install -D -m 0644 "$here/facefleet.sysusers.conf" /etc/sysusers.d/facefleet.conf
systemd-sysusers /etc/sysusers.d/facefleet.conf
install -d -m 0750 -o root -g facefleet "$settings"
if [ "$1" != image ]; then
  [ -e "$settings/facefleet.env" ] || cp "$here/facefleet.env.example" "$settings/facefleet.env"
  # However it came: it holds keys.
  chown root:facefleet "$settings/facefleet.env"
  chmod 0640 "$settings/facefleet.env"
fi

[ -x "$home/bin/python" ] || python3 -m venv "$home"
# What is installed last is there if all is.
if ! "$home/bin/python" -P -c 'import app_tier' 2>/dev/null; then
  (cd "$here/.." && "$home/bin/pip" install --quiet --use-pep517 -r requirements.txt &&
    "$home/bin/pip" install --quiet --no-deps --no-build-isolation .)
fi
install -m 0755 "$here/facefleet-backoff" "$home/bin/facefleet-backoff"
install -D -m 0644 "$here/README.md" "$home/share/doc/facefleet/README.md"

install -m 0644 "$here"/facefleet-*.service "$here"/facefleet-*.target "$units"
install -D -m 0755 "$here/facefleet-workers.generator" /etc/systemd/system-generators/facefleet-workers

if [ "$1" = image ]; then
  install -m 0644 "$here"/image/facefleet-* "$units"
  install -D -m 0644 "$here/image/early.conf" "$units/facefleet-worker@.service.d/early.conf"
  systemctl enable --quiet facefleet-settings.service
  exit
fi

install -D -m 0644 "$here/network.conf" "$units/facefleet-worker@.service.d/network.conf"
for role in "$@"; do
  case $role in
    workers) unit=facefleet-workers.target ;;
    *) unit=facefleet-$role.service ;;
  esac
  systemctl enable --quiet "$unit"
  # In a disk image that is being made nothing runs yet: it starts at boot.
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl start --no-block "$unit"
  fi
done
