# The lab: every fault on real hosts. molecule/README.md describes it.
.PHONY: molecule molecule-deps molecule-clean

## make molecule     every fault on real hosts (containers with systemd and sshd); as root; SCENARIOS="a b" for some
molecule: $(DEV_STAMP)
	@$(BIN)/python tests/lab/run.py test $(SCENARIOS)

# Debian's packages and the host image; make molecule does it by itself.
molecule-deps: $(DEV_STAMP)
	@$(BIN)/python tests/lab/run.py deps

# Containers, networks and images of this checkout.
molecule-clean: $(DEV_STAMP)
	@$(BIN)/python tests/lab/run.py clean
