#: make fuzz           every fuzz target for FUZZ_SECONDS (default 10) from its corpus (FUZZ=ip_input: only that one)
#: make fuzz-corpus    every fuzz target once over its corpus
#: make fuzz-seeds     makes the corpus of fuzz_table anew, after a change of the table's layout
#                      (tests/fuzz/seeds/packet_in.py FOLDER writes the seeds of fuzz_packet_in)
FUZZ_SECONDS ?= 10
fuzz_bin := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_$(FUZZ)*.c)))

build/fuzz/fuzz_%: build/fuzz/obj/tests/fuzz/fuzz_%.o $(B)/libsupport.a $(B)/libmgmt.a $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^ $(filter %.a,$^),$(libs_mgmt) $(libs_control) $(libs_dataplane))

.PHONY: fuzz fuzz-corpus fuzz-programs
fuzz:
	@$(MAKE) FLAVOUR=fuzz fuzz-programs
	@tests/fuzz/run --seconds $(FUZZ_SECONDS) $(fuzz_bin)
fuzz-corpus:
	@$(MAKE) FLAVOUR=fuzz fuzz-programs
	@tests/fuzz/run $(fuzz_bin)
fuzz-programs: $(fuzz_bin)

.PHONY: fuzz-seeds
$(B)/fuzz-seeds: $(call obj,tests/fuzz/seeds/table.c) $(B)/libsupport.a $(B)/libmgmt.a $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_mgmt) $(libs_control) $(libs_dataplane))
fuzz-seeds: $(B)/fuzz-seeds
	@rm -f tests/fuzz/corpus/fuzz_table/*
	@$(B)/fuzz-seeds tests/fuzz/corpus/fuzz_table
