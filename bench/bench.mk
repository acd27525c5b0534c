.PHONY: bench
BENCH ?=

## make bench        what looks, modules, sweeps and reports cost, beside what else could be used (BENCH="snapshot module": these rows)
bench: $(DEV_STAMP)
	@$(BIN)/python -m bench.run $(BENCH)
