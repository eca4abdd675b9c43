#: make wire           packet scripts with an encoder of their own, one per rule of the standards (WIRE=rto for some)
$(B)/wire: $(call obj,$(wildcard tests/wire/*.c)) $(B)/libdataplane.a
	$(call link,$^,$(libs_dataplane))

.PHONY: wire wire-program
wire-program: $(B)/wire
wire:
	@$(MAKE) FLAVOUR=release wire-program && $(MAKE) FLAVOUR=asan wire-program
	@tests/tally wire $(foreach f,release asan,"build/$(f)/wire tests/wire/$(WIRE)*/*.wire")

#: make wire-mutants   the stack with one rule broken, 40 times: the scripts must notice (MUTANT=paws for some)
.PHONY: wire-mutants
wire-mutants: $(B)/wire
	@tests/wire/mutants.py --cc "$(CC) $(CFLAGS_ALL)" --link "$(CC) $(LDFLAGS_ALL)" --libs "$(libs_dataplane)" \
		--objects "$(call obj,$(wildcard tests/wire/*.c)) $(B)/libdataplane.a" $(MUTANT)
