#: make wire           packet scripts with an encoder of their own, one per rule of the standards (WIRE=rto for some)
$(B)/wire: $(call obj,$(wildcard tests/wire/*.c)) $(B)/libdataplane.a
	$(call link,$^,$(libs_dataplane))

# The same of the IP layer, by an interpreter of its own.
$(B)/wire-link: $(call obj,tests/wire/main.c $(wildcard tests/wire/link/*.c)) $(B)/libdataplane.a
	$(call link,$^,$(libs_dataplane))

.PHONY: wire wire-program
wire-program: $(B)/wire $(B)/wire-link
wire:
	@$(MAKE) FLAVOUR=release wire-program && $(MAKE) FLAVOUR=asan wire-program
	@tests/tally wire $(foreach f,release asan,$(or $(strip \
		$(if $(wildcard tests/wire/$(WIRE)*/*.wire),"build/$(f)/wire tests/wire/$(WIRE)*/*.wire") \
		$(if $(wildcard tests/wire/link/$(WIRE)*/*.wire),"build/$(f)/wire-link tests/wire/link/$(WIRE)*/*.wire")), \
		$(error there are no scripts tests/wire/$(WIRE)*)))

#: make wire-mutants   the stack with one rule broken, once for each of them: the scripts must notice (MUTANT=paws for some)
.PHONY: wire-mutants
wire-mutants: $(B)/wire $(B)/wire-link
	@tests/wire/mutants.py --cc "$(CC) $(CFLAGS_ALL)" --link "$(CC) $(LDFLAGS_ALL)" --libs "$(libs_dataplane)" \
		--objects "$(call obj,$(wildcard tests/wire/*.c)) $(B)/libdataplane.a" \
		--link-objects "$(call obj,tests/wire/main.c $(wildcard tests/wire/link/*.c)) $(B)/libdataplane.a" $(MUTANT)
