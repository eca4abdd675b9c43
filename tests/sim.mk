#: make sim            the simulator, SEEDS=N seeds (default 200; of TCP alone 5 times that), swaps, short memory, long ways
#: make sim-asan       the same under ASan+UBSan
#: make sim-http       clients and upstreams that need not behave, SEEDS=N seeds (default 200; FLAVOUR=asan)
#: make sim-faults     every planted fault must be found within 1,000 seeds
SEEDS ?= 200
FIRST ?= 1
HTTP_SEEDS ?= 60
DENIAL_SEEDS ?= $(SEEDS)
STREAMS_SEEDS ?= $(shell echo $$((5 * $(SEEDS))))
planted := $(shell sed -n 's/^PLANTED.\([a-z_]*\),.*/\1/p' dataplane/base/faults.def)
planted_http := $(shell sed -n 's/^PLANTED_HTTP.\([a-z_]*\),.*/\1/p' dataplane/base/faults.def)
planted_streams := $(shell sed -n 's/^PLANTED_STREAMS.\([a-z_]*\),.*/\1/p' dataplane/base/faults.def)
planted_far := $(shell sed -n 's/^PLANTED_FAR.\([a-z_]*\),.*/\1/p' dataplane/base/faults.def)
FAR_SEEDS := 10
sim_src := $(wildcard tests/sim/*.c)
sim_wraps := -Wl,--wrap=pool_get
$(B)/sim: $(call obj,$(sim_src)) $(B)/libsupport.a $(B)/libdataplane.a
	$(call link,$^,$(sim_wraps) $(libs_dataplane))

.PHONY: sim sim-http sim-asan sim-program sim-faults
sim-asan:
	@$(MAKE) FLAVOUR=asan sim-program
	@tests/tally sim-asan "build/asan/sim --first $(FIRST) --seeds $(SEEDS)" "build/asan/sim --scenario swaps" \
		"build/asan/sim --scenario squeeze --first $(FIRST) --seeds 3" \
		"build/asan/sim --scenario denial --first $(FIRST) --seeds $(DENIAL_SEEDS)" \
		"build/asan/sim --scenario http --first $(FIRST) --seeds $(SEEDS)" \
		"build/asan/sim --scenario streams --first $(FIRST) --seeds $(SEEDS)"
sim-program: $(B)/sim
sim: $(B)/sim
	@tests/tally sim "$(B)/sim --first $(FIRST) --seeds $(SEEDS)" "$(B)/sim --scenario swaps" \
		"$(B)/sim --scenario ejection --first $(FIRST) --seeds 20" \
		"$(B)/sim --scenario squeeze --first $(FIRST) --seeds 10" \
		"$(B)/sim --scenario far --seeds $(FAR_SEEDS)" \
		"$(B)/sim --scenario denial --first $(FIRST) --seeds $(DENIAL_SEEDS)" \
		"$(B)/sim --scenario http --first $(FIRST) --seeds $(HTTP_SEEDS)" \
		"$(B)/sim --scenario streams --first $(FIRST) --seeds $(STREAMS_SEEDS)"
sim-http: $(B)/sim
	@tests/tally sim-http "$(B)/sim --scenario http --first $(FIRST) --seeds $(SEEDS)"
sim-faults:
	@$(MAKE) FLAVOUR=faults sim-program
	@tests/tally sim-faults --together 2 $(foreach f,$(planted),"build/faults/sim --fault $(f) --seeds 1000") \
		$(foreach f,$(planted_http),"build/faults/sim --scenario http --fault $(f) --seeds 1000") \
		$(foreach f,$(planted_streams),"build/faults/sim --scenario streams --fault $(f) --seeds 1000") \
		$(foreach f,$(planted_far),"build/faults/sim --scenario far --fault $(f) --seeds $(FAR_SEEDS)")
