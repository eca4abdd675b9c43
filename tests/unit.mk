#: make unit           unit tests, both flavours: one program per file of tests/unit (UNIT=tcp/ only those below tcp)
unit_src := $(sort $(wildcard tests/unit/*.c tests/unit/*/*.c))
unit_bin := $(patsubst tests/unit/%.c,$(B)/unit/%,$(unit_src))

# What tests share (tests/support) is an archive too: fixtures, doubles.
$(B)/libsupport.a: $(call obj,$(wildcard tests/support/*.c))

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(B)/libsupport.a $(B)/libmgmt.a $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_mgmt) $(libs_control) $(libs_dataplane) -lcmocka)

.PHONY: unit unit-programs
unit:
	@$(MAKE) FLAVOUR=release unit-programs && $(MAKE) FLAVOUR=asan unit-programs
	@tests/tally unit $(foreach f,release asan,$(patsubst tests/unit/%.c,build/$(f)/unit/%,$(filter tests/unit/$(UNIT)%,$(unit_src))))
unit-programs: $(filter $(B)/unit/$(UNIT)%,$(unit_bin))
