# Two commands: `make run` and `make test`. Everything lands in this folder: .venv, .samples, .data.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# The release whose source distribution carries the sample photos, and its checksum.
SAMPLES_FROM := face_recognition==1.3.0 --hash=sha256:5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec

# Where machines can be booted.
MACHINES := $(if $(and $(shell command -v debootstrap),$(shell command -v systemd-nspawn),$(filter 0,$(shell id -u))),.machines/root)

.PHONY: run test check format constraints clean help

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

$(VENV)/tests: $(VENV)/runs requirements-dev.txt pi_uploader/requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --use-pep517 -r requirements-dev.txt
	@touch $@

# Servers that speak AWS's protocols: apart, since they pin versions of their own.
.emulators/done: $(VENV)/made tests/emulators/requirements.txt tests/emulators/constraints.txt
	$(PYTHON) -m venv .emulators
	.emulators/bin/pip install --quiet --disable-pip-version-check -r tests/emulators/requirements.txt
	@touch $@

# Debian, for machines that tests boot. Only root can make it; who is not does without.
.machines/root:
	@mkdir -p .machines && rm -rf $@.part
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates bookworm $@.part >/dev/null
	@mv $@.part $@

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
