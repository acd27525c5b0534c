# Needs nothing but make and Python 3.11 or newer; everything else goes into .venv, each part when a target needs it.
PYTHON ?= python3
BIN := .venv/bin
# Who types make has no .venv in PATH: commands that a run gives to be typed next are written for that shell.
TYPED_PATH := $(PATH)
doctor demo: export IB_TYPED_PATH := $(TYPED_PATH)
export PATH := $(CURDIR)/$(BIN):$(PATH)
# What an operator needs is there, and what a developer needs beside it.
STAMP := .venv/.installed
DEV_STAMP := .venv/.installed-dev
INTO ?= reports

.PHONY: help setup folder demo doctor notices test lint types unit fuzz integration programs promtool cron merge-reports clean

help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make setup        build .venv with what it takes to look at gateways and to repair them
setup: folder $(STAMP)

# Ansible ignores an ansible.cfg that everybody may change. Some file systems have no other permissions, so it is said
# and not refused.
folder:
	@[ -z "$$(find . -maxdepth 0 -perm -0002)" ] || \
	  echo 'Everybody may write to $(CURDIR), so Ansible ignores the ansible.cfg in it. Mend it with:' \
	    'chmod o-w $(CURDIR); or begin each command with: ANSIBLE_CONFIG=$(CURDIR)/ansible.cfg' >&2

$(STAMP): requirements.txt | folder
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'Python 3.11 or newer is needed; name one with: make PYTHON=python3.11 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo 'This Python cannot build virtual environments; on Debian: apt-get install python3-venv' >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

## make notices      install what tells a person of changes, where ib_notify_urls is set (docs/notices.md)
notices: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-notices.txt

# Linters, the tests' libraries, the lab and the clients that judge the simulator.
$(DEV_STAMP): $(STAMP) requirements-dev.txt requirements-notices.txt $(wildcard tests/simulator/clients/requirements-*.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	$(BIN)/python tests/simulator/official.py
	@touch $@

## make demo         break a simulated gateway on this machine, repair it, repair it again; needs no root
demo: folder $(STAMP)
	@$(BIN)/python tests/simulator/demo.py

# WRITE=FILE writes what was found as an inventory; ARGS= takes any option of ansible-playbook, such as -i or -v. The
# configuration is named, because Ansible does not read it from a folder that everybody may write to.
## make doctor       what is wrong with the gateways of this machine, and what to do; touches nothing, needs no inventory
doctor: $(STAMP)
	@ANSIBLE_CONFIG=$(CURDIR)/ansible.cfg IB_DOCTOR_BY_MAKE=yes $(BIN)/ansible-playbook playbooks/doctor.yml \
	  $(if $(WRITE),-e ib_write_inventory=$(WRITE)) $(ARGS)

## make test         everything that must hold before a change lands
test: lint unit integration molecule

## make lint         style, types, playbooks
lint: $(DEV_STAMP) types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict .
	$(BIN)/ansible-lint --offline --profile production --strict

types: $(DEV_STAMP)
	$(BIN)/mypy --package ansible.module_utils.ib_gateway --package ansible.module_utils.ib_audit \
	  --package ansible.module_utils.ib_fleet
	$(BIN)/mypy library molecule/shared/image filter_plugins doc_fragments callback_plugins \
	  action_plugins/checked_module.py roles/ib_fleet_report/action_plugins roles/ib_gateway_repair/action_plugins \
	  roles/ib_fleet_report/files tests/unit tests/integration tests/simulator tests/hostile tests/lab tests/events bench collection
	$(BIN)/mypy roles/ib_client_kit/files/ib_connect.py
	$(BIN)/mypy roles/ib_live_probe/files/ib_gateway_probe.py
	$(BIN)/mypy roles/ib_self_heal/files/ib_self_heal_status.py roles/ib_self_heal/files/ib_self_heal_pack.py
	$(BIN)/mypy roles/ib_live_probe/package/assemble.py
	$(BIN)/mypy roles/ib_client_kit/package/ib_connect roles/ib_client_kit/package/assemble.py

## make unit         the fast part of the tests, seconds
unit: $(DEV_STAMP)
	$(BIN)/pytest -q -n auto -m 'not integration' tests/unit tests/lab tests/hostile

## make fuzz MINUTES=3  damaged input for every parser that reads what others wrote; SEED= and PARSER= narrow it
MINUTES ?= 3
fuzz: $(DEV_STAMP)
	@$(BIN)/python tests/hostile/fuzz.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(PARSER),--parser '$(PARSER)')

## make merge-reports INVENTORY=... FROM='slices/*' INTO=reports   one report out of several controllers' reports
merge-reports: folder $(STAMP)
	@ANSIBLE_CONFIG=$(CURDIR)/ansible.cfg $(BIN)/ansible-playbook playbooks/merge_reports.yml -i $(INVENTORY) \
	  -e '{"ib_merge_from": "$(FROM)", "ib_report_dir": "$(INTO)"}'

# The page is tested in a real browser, a look's system calls are counted, and gateways live in containers. Where the
# programs for it are missing, root installs Debian's; others are told.
PROGRAMS := chromium chromedriver strace podman runc socat iptables ip slirp4netns newuidmap systemctl
PACKAGES := chromium chromium-driver strace podman runc netavark aardvark-dns socat iptables iproute2 slirp4netns uidmap \
  systemd
programs:
	@for each in $(PROGRAMS); do command -v $$each >/dev/null || missing=yes; done; \
	  if [ -z "$$missing" ]; then :; elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $(PACKAGES) >/dev/null; \
	  else echo 'one of $(PACKAGES) is missing: what needs it is not tested' >&2; fi

# Prometheus' own tool judges the alert rules, and cron starts a gateway: in these words (package,program,without it).
# They are taken out of Debian's packages, which are not installed: their servers would run.
FETCHED := .ansible/bin
fetched = [ -x $(FETCHED)/$(notdir $(2)) ] || ! command -v apt-get >/dev/null || { \
  folder=$$(mktemp -d) && mkdir -p $(FETCHED) && \
  (cd "$$folder" && apt-get download -qq -o APT::Sandbox::User=root $(1) && \
    dpkg-deb --fsys-tarfile $(1)_*.deb | tar -x ./$(2)) && \
  mv "$$folder/$(2)" $(FETCHED)/ || echo '$(3)' >&2; \
  rm -rf "$$folder"; }
promtool:
	@command -v promtool >/dev/null || $(call fetched,prometheus,usr/bin/promtool,no promtool: nothing tests the alert rules)
cron:
	@[ -x /usr/sbin/cron ] || $(call fetched,cron,usr/sbin/cron,no cron: a stand-in starts a gateway in its place)

# Containers are seen by the whole machine, and only it has a network. Everything else has a host of its own, for each
# worker.
INTEGRATION := tests/integration tests/simulator tests/hostile/test_attacker.py
OWN_HOSTS = --dist load --tx "$$(nproc)*popen//python=tests/own_host $(BIN)/python"
## make integration  real processes, sockets and playbooks
integration: $(DEV_STAMP) programs promtool cron
	@echo '$(BIN)/pytest -m "not machine" $(INTEGRATION), on hosts of their own; then -m machine'; \
	  $(BIN)/pytest -q $(OWN_HOSTS) --durations=10 -m 'not machine' $(INTEGRATION) || failed=yes; \
	  $(BIN)/pytest -q -n auto --durations=10 -m machine $(INTEGRATION) || failed=yes; \
	  [ -z "$$failed" ]

include molecule/molecule.mk
include bench/bench.mk
include collection/collection.mk

clean:
	rm -rf .venv .demo reports build .pytest_cache .mypy_cache .ruff_cache .hypothesis .ansible
