# Two commands: `make run` and `make test`. Everything lands in this folder: .venv, .samples, .data.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The release whose source distribution carries the sample photos, and its checksum.
SAMPLES_FROM := face_recognition==1.3.0 --hash=sha256:5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec

# Where machines can be booted.
MACHINES := $(if $(and $(shell command -v debootstrap),$(shell command -v systemd-nspawn),$(filter 0,$(shell id -u))),.machines/root/usr/bin/caddy .machines/wheels/done)
# What Debian's own image for clouds has of what we need; then what ami/install.sh would add, for machines without a network.
DEBIAN_HAS := systemd,systemd-sysv,dbus,python3,ca-certificates,curl,iproute2,procps,openssh-server,sudo
WE_ADD     := python3-venv,caddy,unattended-upgrades

.PHONY: run test check openstack format constraints clean help

help:  ## what there is
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

run: $(VENV)/runs .samples/done  ## start everything on http://127.0.0.1:8000
	@$(BIN)/facefleet up --samples .samples/people

test: $(VENV)/tests .emulators/done .samples/done $(MACHINES)  ## run the tests
	$(BIN)/pytest

check: $(VENV)/tests .emulators/done .samples/done $(MACHINES)  ## format, lint, types, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest

openstack: $(VENV)/tests .emulators/done .machines/root .machines/openstack/done  ## run the tests against a real OpenStack, built once in five minutes
	@# In a folder of its own: pytest tidies those of other runs away. It stays where a test failed.
	@own=$$(mktemp -d /tmp/openstack.XXXXXX) && $(BIN)/pytest -m openstack --basetemp=$$own && rm -r --one-file-system $$own

format: $(VENV)/tests  ## put the code in shape
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "facefleet needs Python 3.11 or newer. On Debian 12: apt-get install python3 python3-venv"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "facefleet needs Python's venv module. On Debian 12: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/runs: $(VENV)/made requirements.txt constraints.txt vendor/dlib/pyproject.toml vendor/opencv/pyproject.toml pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 -r requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/tests: $(VENV)/runs requirements-dev.txt pi_uploader/requirements.txt lambda_tier/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 -r requirements-dev.txt
	@touch $@

# Servers that speak AWS's protocols: apart, since they pin versions of their own.
.emulators/done: $(VENV)/made tests/emulators/requirements.txt tests/emulators/constraints.txt
	$(PYTHON) -m venv .emulators
	.emulators/bin/pip install --quiet --disable-pip-version-check -r tests/emulators/requirements.txt
	@touch $@

# Debian, for machines that tests boot. Only root can make it; who is not does without. As in Debian's image for clouds,
# no machine begins with the keys or the id of another; what listens is not started unless somebody asks for it.
.machines/root: .machines/root/usr/bin/caddy
.machines/root/usr/bin/caddy:
	@mkdir -p .machines && rm -rf .machines/part
	debootstrap --variant=minbase --include=$(DEBIAN_HAS),$(WE_ADD) bookworm .machines/part >/dev/null
	@systemctl --quiet --root=$(CURDIR)/.machines/part disable ssh.service caddy.service 2>/dev/null
	@rm -f .machines/part/etc/ssh/ssh_host_* .machines/part/var/cache/apt/archives/*.deb
	@: > .machines/part/etc/machine-id && ln -sf /etc/machine-id .machines/part/var/lib/dbus/machine-id
	@rm -rf .machines/root && mv .machines/part .machines/root

# An OpenStack control plane, see tests/openstack/README.md; neither `make test` nor `make check` makes it. First with a
# network to fetch Debian's packages from, then alone.
INSIDE := systemd-nspawn --quiet --as-pid2 --register=no --keep-unit --console=pipe \
  --directory=.machines/openstack/part --bind-ro=$(CURDIR)/tests/openstack:/srv/plane
.machines/openstack/done: tests/openstack/install.sh tests/openstack/driver.py
	@command -v debootstrap systemd-nspawn ip >/dev/null && [ "$$(id -u)" = 0 ] || \
	  { echo "A control plane needs root, and: apt-get install debootstrap systemd-container iproute2"; exit 1; }
	@mkdir -p .machines/openstack && rm -rf .machines/openstack/part
	@echo "openstack: $$(date +%T) Debian"
	@debootstrap --variant=minbase --include=$(DEBIAN_HAS) bookworm .machines/openstack/part >/dev/null
	@$(INSIDE) --resolv-conf=copy-host /srv/plane/install.sh packages </dev/null
	@$(INSIDE) --resolv-conf=off --private-network --hostname=controller /srv/plane/install.sh configure </dev/null
	@rm -rf .machines/openstack/root && mv .machines/openstack/part .machines/openstack/root
	@touch $@

# What requirements.txt pulls in, for machines that install it without a network.
.machines/wheels: .machines/wheels/done
.machines/wheels/done: $(VENV)/made requirements.txt constraints.txt vendor/dlib/pyproject.toml vendor/opencv/pyproject.toml
	$(BIN)/pip wheel --quiet --disable-pip-version-check --use-pep517 --wheel-dir .machines/wheels.part -r requirements.txt
	@rm -rf .machines/wheels && mv .machines/wheels.part .machines/wheels
	@touch $@

# A folder for each person, as `facefleet enrol` takes it; the other photos lie beside, to try it out.
.samples/done: $(VENV)/runs
	@rm -rf .samples && mkdir -p .samples/people/obama .samples/people/biden
	@echo '$(SAMPLES_FROM)' > .samples/requirement.txt
	$(BIN)/pip download --quiet --disable-pip-version-check --no-deps --no-binary :all: --no-build-isolation \
	  --require-hashes --dest .samples -r .samples/requirement.txt
	@cd .samples && tar xzf face_recognition-*.tar.gz --strip-components=2 --wildcards '*/tests/test_images' && \
	  mv test_images photos && cp photos/obama.jpg people/obama/ && cp photos/biden.jpg people/biden/ && \
	  rm face_recognition-*.tar.gz requirement.txt
	@touch $@

constraints: $(VENV)/tests .emulators/done  ## pin what is installed
	@(echo "# Everything that requirements*.txt pull in, pinned; made by 'make constraints'."; \
	  $(BIN)/pip freeze --exclude dlib --exclude opencv-python --exclude-editable) > constraints.txt
	@(echo "# Everything that requirements.txt pulls in, pinned; made by 'make constraints'."; \
	  .emulators/bin/pip freeze) > tests/emulators/constraints.txt

clean:  ## remove what was installed; data stays
	rm -rf $(VENV) .emulators .samples .machines
