.PHONY: collection release matrix

## make collection   the project as an Ansible collection, in build/
collection: $(STAMP)
	@$(BIN)/python -m collection.build

## make release      the collection, and everything that must hold before it is published; publishes nothing
release: $(DEV_STAMP)
	@$(BIN)/python -m collection.release

## make matrix       every ansible-core from 2.16 on, each with a Python that it runs on; CORES="2.16 2.21" for some
matrix: $(DEV_STAMP)
	@$(BIN)/python -m collection.matrix $(CORES)
