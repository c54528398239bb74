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

secret() { head -c 18 /dev/urandom | base64 | tr '+/' 'ab'; }

write() {  # FILE: its whole text comes in; who runs the service may read it, others may not.
  cat > "$1"
  chown "root:$(cut -d/ -f3 <<<"$1")" "$1"
  chmod 640 "$1"
}

database() { echo "connection = mysql+pymysql://plane:$PASSWORD@$HERE/$1"; }

login() {  # Every service is the administrator.
  cat <<END
auth_url = http://$HERE:5000/v3
auth_type = password
username = admin
password = $PASSWORD
project_name = admin
user_domain_id = default
project_domain_id = default
region_name = RegionOne
valid_interfaces = internal
END
}

asks_keystone() { printf '[keystone_authtoken]\nwww_authenticate_uri = http://%s:5000/v3\n' "$HERE"; login; }

settings() {
  log "settings"
  write /etc/keystone/keystone.conf <<END
[database]
$(database keystone)
max_pool_size = 5
[token]
provider = fernet
END
  write /etc/placement/placement.conf <<END
[placement_database]
$(database placement)
max_pool_size = 5
$(asks_keystone)
END
  write /etc/glance/glance-api.conf <<END
[database]
$(database glance)
max_pool_size = 5
[glance_store]
filesystem_store_datadir = /var/lib/glance/images
[paste_deploy]
flavor = keystone
$(asks_keystone)
END
  write /etc/neutron/neutron.conf <<END
[DEFAULT]
core_plugin = ml2
# Nova shows and deletes a server by what these know of it.
service_plugins = router,port_forwarding
transport_url = rabbit://plane:$PASSWORD@$HERE:5672/
rpc_workers = 1
rpc_state_report_workers = 0
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
[database]
$(database neutron)
max_pool_size = 5
[oslo_concurrency]
lock_path = /var/lib/neutron/tmp
$(asks_keystone)
END
  write /etc/neutron/plugins/ml2/ml2_conf.ini <<END
[ml2]
type_drivers = flat,vlan,local
tenant_network_types = local
mechanism_drivers = logger
END
  write /etc/nova/nova.conf <<END
[DEFAULT]
compute_driver = plane.Driver
transport_url = rabbit://plane:$PASSWORD@$HERE:5672/
my_ip = $HERE
state_path = /var/lib/nova
vif_plugging_is_fatal = false
vif_plugging_timeout = 0
[api_database]
$(database nova_api)
max_pool_size = 5
[database]
$(database nova)
max_pool_size = 5
[oslo_concurrency]
lock_path = /var/lib/nova/tmp
[scheduler]
workers = 1
discover_hosts_in_cells_interval = 1
[conductor]
workers = 1
[vnc]
enabled = false
[glance]
$(login)
[neutron]
$(login)
[placement]
$(login)
$(asks_keystone)
END
}

processes() {  # A test asks little, and this machine is small.
  sed -i 's/^processes = .*/processes = 2/; s/^threads = .*/threads = 4/' /etc/*/*-uwsgi.ini
  # uwsgi keeps no connection open; who is not told so sends the next question into one that is being closed.
  grep -L '^add-header = Connection: close' /etc/*/*-uwsgi.ini | xargs sed -i '/^\[uwsgi\]/a add-header = Connection: close'
  # Who asks a compute service waits for the answer in one thread only: in another, nova hears it never, and gives up.
  sed -i 's/^processes = .*/processes = 4/; s/^threads = .*/threads = 1/' /etc/nova/*-uwsgi.ini
  # Two of neutron's would each make the first networks of a project.
  sed -i 's/^processes = .*/processes = 1/' /etc/neutron/neutron-api-uwsgi.ini
  cat > /etc/rabbitmq/rabbitmq.conf <<END
listeners.tcp.1 = $HERE:5672
default_user = plane
default_pass = $PASSWORD
END
  cat > /etc/mysql/mariadb.conf.d/90-plane.cnf <<END
[mariadbd]
bind-address = $HERE
max_connections = 400
# What is lost with this computer is meant to be lost; what was answered before the machine crashed is not.
innodb_flush_log_at_trx_commit = 2
innodb_log_file_size = 8M
END
  cat > /etc/systemd/system/nova-compute.service <<END
[Unit]
After=mariadb.service rabbitmq-server.service nova-api.service
[Service]
User=nova
ExecStart=/usr/bin/python3 -c "from nova.cmd.compute import main; main()" --config-file=/etc/nova/nova.conf
Restart=always
RestartSec=1
[Install]
WantedBy=multi-user.target
END
  install -m 644 /srv/plane/driver.py /usr/lib/python3/dist-packages/nova/virt/plane.py
  install -d -o nova -g nova /var/lib/nova/held
  systemctl --quiet enable mariadb rabbitmq-server keystone placement-api glance-api neutron-api neutron-rpc-server \
    nova-api nova-conductor nova-scheduler nova-compute
  systemctl --quiet disable nova-api-metadata
  local unit
  for unit in keystone placement-api glance-api neutron-api neutron-rpc-server nova-api nova-conductor nova-scheduler; do
    # Each may begin before what it needs does.
    mkdir -p "/etc/systemd/system/$unit.service.d"
    printf '[Unit]\nAfter=mariadb.service\n[Service]\nRestart=always\nRestartSec=1\n' \
      > "/etc/systemd/system/$unit.service.d/plane.conf"
  done
}

tables() {
  mariadbd-safe --user=mysql >/dev/null 2>&1 &
  timeout 60 bash -c 'until mariadb -e "SELECT 1" >/dev/null 2>&1; do sleep 0.2; done' ||
    { log "the database does not start: see /var/lib/mysql/*.err"; return 1; }
  log "databases"
  local one
  for one in keystone placement glance neutron nova nova_api nova_cell0; do echo "CREATE DATABASE $one CHARACTER SET utf8;"; done | mariadb
  mariadb -e "GRANT ALL ON *.* TO plane@'$HERE' IDENTIFIED BY '$PASSWORD'; GRANT ALL ON *.* TO plane@localhost IDENTIFIED BY '$PASSWORD'"
  log "tables of keystone, placement, glance"
  as keystone keystone-manage db_sync
  as placement placement-manage db sync
  as glance glance-manage db_sync
  log "tables of neutron"
  as neutron neutron-db-manage --config-file /etc/neutron/neutron.conf --config-file /etc/neutron/plugins/ml2/ml2_conf.ini upgrade heads
  log "tables of nova"
  as nova nova-manage api_db sync
  as nova nova-manage cell_v2 map_cell0
  as nova nova-manage cell_v2 create_cell --name cell1
  as nova nova-manage db sync
}

as() { local user=$1; shift; quietly setpriv --reuid="$user" --regid="$user" --init-groups -- "$@"; }

quietly() { "$@" >/tmp/said 2>&1 || { cat /tmp/said; return 1; }; }  # What it says is shown where it fails.

catalogue() {
  log "catalogue"
  quietly keystone-manage fernet_setup --keystone-user keystone --keystone-group keystone
  quietly keystone-manage credential_setup --keystone-user keystone --keystone-group keystone
  as keystone keystone-manage bootstrap --bootstrap-password "$PASSWORD" --bootstrap-region-id RegionOne \
    --bootstrap-internal-url "http://$HERE:5000/v3" --bootstrap-public-url http://PLANE:5000/v3
  # Straight into its table: keystone itself is not up yet. PLANE becomes the address that the machine has when it boots.
  local name type port path
  while read -r name type port path; do
    local id; id=$(uuid)
    echo "INSERT INTO service (id, type, enabled, extra) VALUES ('$id', '$type', 1, '{\"name\": \"$name\"}');"
    endpoint "$id" internal "http://$HERE:$port$path"
    endpoint "$id" public "http://PLANE:$port$path"
  done <<END | mariadb keystone
placement placement 8778
glance image 9292
neutron network 9696
nova compute 8774 /v2.1
END
}

uuid() { tr -d - < /proc/sys/kernel/random/uuid; }

endpoint() { echo "INSERT INTO endpoint (id, interface, service_id, url, enabled, region_id, extra) VALUES ('$(uuid)', '$2', '$1', '$3', 1, 'RegionOne', '{}');"; }

configure() {
  PASSWORD=$(secret)
  (umask 077 && echo "$PASSWORD" > /root/password)
  echo controller > /etc/hostname
  printf '127.0.0.1 localhost controller\n' > /etc/hosts
  settings
  processes
  tables
  catalogue
  log "shutting the database"
  mariadb-admin shutdown
  wait
  log "made"
}

"$@"
