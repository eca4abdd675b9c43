#: make bench          cycles per request without a kernel, at 1, 8, 32 and 256 in flight, and where they go (BENCH_ROUTES=10000:
#:                     with so many routes, of which each request is for one drawn at random)
.PHONY: bench
$(B)/load: $(call obj,$(wildcard tests/bench/*.c)) $(B)/libsupport.a $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_control) $(libs_dataplane))
bench: all $(B)/load
	@tests/bench/bench

#: make bench-round    cycles of a worker's rounds per request, on a clock of its own: to compare builds (BENCH_ROUTES=10000: and
#:                     with the table out of the caches)
bench_shared := $(filter-out tests/bench/load.c,$(wildcard tests/bench/*.c))
$(B)/bench-round: $(call obj,tests/bench/round/round.c $(bench_shared)) $(B)/libsupport.a $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_control) $(libs_dataplane))
.PHONY: bench-round
bench-round: $(B)/bench-round
	@$(B)/bench-round $(BENCH_ROUTES)

#: make bench-compile  milliseconds per stage from objects to verified tables, for 10,000 routes, and bytes per route
$(B)/bench-compile: $(call obj,tests/bench/compile/compile.c) $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_control) $(libs_dataplane))
.PHONY: bench-compile
bench-compile: $(B)/bench-compile
	@$(B)/bench-compile

#: make bench-filters  cycles that each filter adds to an exchange
$(B)/bench-filters: $(call obj,tests/bench/filters/filters.c) $(B)/libsupport.a $(B)/libdataplane.a
	$(call link,$^,$(libs_dataplane))
.PHONY: bench-filters
bench-filters: $(B)/bench-filters
	@$(B)/bench-filters

#: make bench-route    cycles per routing lookup with 10 to 10,000 routes, alone and in bursts
$(B)/bench-route: $(call obj,tests/bench/route/lookup.c tests/bench/routes.c) $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_control) $(libs_dataplane))
.PHONY: bench-route
bench-route: $(B)/bench-route
	@$(B)/bench-route

#: make bench-tcp      cycles of the TCP layer alone: per segment, per connection, behind holes
$(B)/bench-tcp: $(call obj,tests/wire/bench/segments.c tests/wire/codec.c tests/wire/ip_double.c) $(B)/libdataplane.a
	$(call link,$^,$(libs_dataplane))
.PHONY: bench-tcp
bench-tcp: $(B)/bench-tcp
	@$(B)/bench-tcp
