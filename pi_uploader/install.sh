#!/bin/sh
# ./install.sh SERVICE_URL [--usb-camera]: from now on, and after each boot, a press of the button asks that service who
#   stands before the camera. Again at will: the code is renewed; settings stay, but for a URL if given. A key is taken
#   from FACEFLEET_API_KEY in the environment. It asks sudo for what only root may do.
# ./install.sh --uninstall [--erase]: undoes it; --erase removes settings, photos and answers, too.
set -eu
umask 022
here=$(cd "$(dirname "$0")" && pwd)
home=/opt/pi_uploader settings=/etc/pi_uploader.toml data=/var/lib/pi_uploader units=/etc/systemd/system
# Nobody needs it but who writes the settings.
key=${FACEFLEET_API_KEY-}
unset FACEFLEET_API_KEY

say() { echo "install.sh: $*"; }
die() {
  say "$*" >&2
  exit 1
}
usage() {
  echo "usage: ./install.sh http://HOST:8000 [--usb-camera] | --uninstall [--erase]" >&2
  say "$*" >&2
  exit 2
}
is_running() { [ -d /run/systemd/system ]; }

uninstall() {
  systemctl disable --quiet pi_uploader.service pi_uploader-poweroff.path 2>/dev/null || true
  if is_running; then systemctl stop pi_uploader.service pi_uploader-poweroff.path 2>/dev/null || true; fi
  rm -f "$units"/pi_uploader.service "$units"/pi_uploader-poweroff.* /usr/local/bin/pi_uploader
  rm -rf "$home"
  if is_running; then systemctl daemon-reload; fi
  if [ -z "$erase" ]; then
    say "settings stay in $settings, photos without an answer and answers in $data; --uninstall --erase removes them"
    return
  fi
  rm -rf "$data" "$settings" "$units/pi_uploader.service.d" /etc/sysusers.d/pi_uploader.conf
  if getent passwd pi_uploader >/dev/null; then userdel pi_uploader; fi
  say "settings, photos and answers are removed; until a card is overwritten, experts may read what was on it"
}

what_for() {
  case $1 in
    python3-venv) echo "what runs the client" ;;
    python3-lgpio) echo "button and LEDs" ;;
    python3-picamera2) echo "the Pi's own camera; for one on USB: --usb-camera" ;;
    python3-opencv) echo "a camera on USB" ;;
    python3-av) echo "clips of a camera on USB" ;;
  esac
}

fetch_packages() {
  command -v apt-get >/dev/null || return 0
  missing=
  for package in python3-venv python3-lgpio python3-picamera2 ${usb:+python3-opencv python3-av}; do
    has=$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) || has=
    [ "$has" = installed ] || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  say "fetches Debian's$missing"
  export DEBIAN_FRONTEND=noninteractive
  set -- -qq -o Acquire::http::Timeout=20 -o Acquire::Retries=1 -o DPkg::Lock::Timeout=120
  apt-get "$@" -o APT::Update::Error-Mode=any update ||
    say "Debian's lists of packages cannot be fetched: is there a network?"
  for package in $missing; do
    # One by one: of another Debian than Raspberry Pi OS some are not to be had, and the others are wanted all the same.
    apt-get "$@" install --yes --no-install-recommends "$package" </dev/null >/dev/null ||
      say "goes on without $package ($(what_for "$package"))"
  done
}

make_environment() {
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    die "needs Python 3.11 or newer, as Raspberry Pi OS has it from Bookworm (Debian 12) on"
  python3 -c 'import ensurepip, venv' 2>/dev/null ||
    die "needs python3-venv: connect this machine to the network, apt-get install python3-venv, and run this again"
  # It sees Debian's packages, since camera and pins come as such. One of another Python is made anew.
  "$home/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear --system-site-packages "$home"
  fetch_libraries requirements.txt
  # What pip has for a camera on USB comes with a numpy that apt's picamera2 was not compiled for.
  if [ -n "$usb" ] && ! has_module cv2; then
    if has_module picamera2; then die "needs python3-opencv: apt-get install python3-opencv, and run this again"; fi
    fetch_libraries requirements-usb.txt
  fi
}
has_module() { "$home/bin/python" -c "import importlib.util as i, sys; sys.exit(i.find_spec('$1') is None)"; }
fetch_libraries() {
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check --no-input -r "$here/$1" ||
    die "what $1 names cannot be fetched: connect this machine to the network, and run this again"
}

copy_code() {
  libraries=$("$home/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # Beside, then renamed, so that nothing of an older one is left.
  rm -rf "$libraries/pi_uploader.new"
  install -d "$libraries/pi_uploader.new"
  install -m 0644 "$here"/*.py "$libraries/pi_uploader.new"
  rm -rf "$libraries/pi_uploader"
  mv "$libraries/pi_uploader.new" "$libraries/pi_uploader"
  # Who runs it cannot write there.
  "$home/bin/python" -m compileall -q "$libraries/pi_uploader"
  install -D -m 0644 "$here/README.md" "$home/share/doc/README.md"
  install -m 0755 "$here/systemd/pi_uploader" /usr/local/bin/pi_uploader
}

write_settings() {
  if [ -e "$settings" ]; then
    set -- ${url:+--url "$url"}
  else
    set -- --url "$url" --data "$data" --on_hold poweroff
  fi
  new=$settings.new
  (umask 077 && FACEFLEET_API_KEY=$key "$home/bin/python" -P -m pi_uploader.settings_file "$settings" "$@" >"$new") || {
    rm -f "$new"
    die "$settings is left as it is"
  }
  if cmp -s "$new" "$settings"; then say "$settings stays as it is"; else say "writes $settings"; fi
  # However it came: it holds a key.
  chown root:pi_uploader "$new"
  chmod 0640 "$new"
  mv "$new" "$settings"
}

start() {
  systemctl enable --quiet pi_uploader.service pi_uploader-poweroff.path
  # In a disk image that is being made nothing runs yet.
  is_running || { say "done: it starts when this boots"; return 0; }
  systemctl daemon-reload
  systemctl restart pi_uploader-poweroff.path
  # What is checked is for one alone. Whatever becomes of it, of Ctrl-C or the line to here, the service runs then.
  trap 'systemctl start --no-block pi_uploader.service' EXIT
  trap : HUP INT TERM
  systemctl stop pi_uploader.service
  echo
  if timeout 120 /usr/local/bin/pi_uploader --check; then
    next="press the button, and see: journalctl --follow --unit pi_uploader"
  else
    next="see what is wrong above; settings: sudoedit $settings; again: sudo pi_uploader --check"
  fi
  echo
  say "done. Next: $next"
}

url='' usb='' uninstall='' erase=''
for word in "$@"; do
  case $word in
    --usb-camera) usb=yes ;;
    --uninstall) uninstall=yes ;;
    --erase) erase=yes ;;
    -*) usage "there is no $word" ;;
    *[[:space:]\"\\]*) usage "'$word' is no URL" ;;
    http://?* | https://?*) url=$word ;;
    *) usage "'$word' is no URL: it begins with http:// or https://" ;;
  esac
done
if [ -n "$uninstall" ] && [ -n "$url$usb" ]; then usage "either installs or uninstalls"; fi
if [ -n "$erase" ] && [ -z "$uninstall" ]; then usage "--erase goes with --uninstall"; fi
if [ -z "$uninstall$url" ] && [ ! -e "$settings" ]; then usage "which service? Name its URL"; fi
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || die "has to be root: su, and then ./install.sh $*"
  FACEFLEET_API_KEY=$key exec sudo --preserve-env=FACEFLEET_API_KEY sh "$here/install.sh" "$@"
fi

if [ -n "$uninstall" ]; then
  uninstall
  exit
fi
fetch_packages
install -D -m 0644 "$here/systemd/pi_uploader.sysusers.conf" /etc/sysusers.d/pi_uploader.conf
systemd-sysusers /etc/sysusers.d/pi_uploader.conf
install -d -m 0700 -o pi_uploader -g pi_uploader "$data"
make_environment
copy_code
write_settings
install -m 0644 "$here"/systemd/pi_uploader.service "$here"/systemd/pi_uploader-poweroff.* "$units"
start
