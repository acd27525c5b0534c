.PHONY: collection release matrix events

## make collection   the project as an Ansible collection, in build/
collection: $(STAMP)
	@$(BIN)/python -m collection.build

## make release      the collection, and everything that must hold before it is published; publishes nothing
release: $(DEV_STAMP)
	@$(BIN)/python -m collection.release

## make matrix       every ansible-core from 2.16 on, each with a Python that it runs on; CORES="2.16 2.21" for some
matrix: $(DEV_STAMP)
	@$(BIN)/python -m collection.matrix $(CORES)

# A Python of its own: what the rulebook's engine brings is of no use to a controller. It takes Java 17.
EVENTS := .ansible/events

$(EVENTS)/.installed: extensions/eda/requirements.txt
	$(PYTHON) -m venv $(EVENTS)
	$(EVENTS)/bin/pip install --quiet --disable-pip-version-check --requirement extensions/eda/requirements.txt
	@touch $@

## make events       the rulebook under a real ansible-rulebook, with posted events; takes Java 17
events: $(DEV_STAMP) $(EVENTS)/.installed
	IB_RULEBOOK_PROGRAM=$(CURDIR)/$(EVENTS)/bin/ansible-rulebook $(BIN)/pytest -q tests/events
