#: make bench          cycles per request without a kernel, at 1, 8, 32 and 256 in flight, and where they go
.PHONY: bench
$(B)/load: $(call obj,$(wildcard tests/bench/*.c)) $(B)/libsupport.a $(B)/libdataplane.a
	$(call link,$^,$(libs_dataplane))
bench: all $(B)/load
	@tests/bench/bench
