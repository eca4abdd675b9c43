# Sluice: firmware for edge gateways. `make help` is the index.
#
# Every target runs inside the Debian 13 build root (platform/root): outside of it, this file only enters it and
# calls itself there. The root is made once per package list and shared by all clones of a machine.

# What a newcomer needs first, then what proves, then what measures.
help_first := platform/lab/host.mk tests/test.mk Makefile
help_last := tests/bench.mk
show_help = @sed -n 's/^\#: //p' $(help_first) $(sort $(filter-out $(help_first) $(help_last), \
              $(wildcard platform/*/*.mk tests/*.mk))) $(help_last)

ifeq ($(wildcard /etc/sluice-root),)

goals := $(or $(MAKECMDGOALS),all)
# Targets that leave something on the host (network namespaces, running programs) have a host half of their own.
host_goals := run stop help
.PHONY: $(goals) enter-root
$(filter-out $(host_goals),$(goals)): enter-root
	@:
enter-root:
	@platform/root/enter $(MAKE) --no-print-directory $(MAKEOVERRIDES) $(filter-out $(host_goals),$(goals))
include platform/lab/host.mk
help:
	$(show_help)

else

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SECONDARY:

#: make all            build the four programs, release flavour (FLAVOUR=asan for ASan+UBSan)
FLAVOUR ?= release
B := build/$(FLAVOUR)

CC  := ccache gcc
CXX := ccache g++
ifeq ($(FLAVOUR),fuzz)
CC  := ccache clang
CXX := ccache clang++
endif

warnings := -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef \
            -Wvla -Werror
dpdk_cflags := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags libdpdk))
# libdpdk.pc asks for corei7: our own -march comes after it and wins.
common := -std=gnu17 -g -fno-omit-frame-pointer -fno-strict-aliasing -D_GNU_SOURCE $(warnings) $(dpdk_cflags) \
          -march=x86-64-v3 -mtune=generic -Idataplane -I. -MMD -MP
flavour_release := -O3 -DNDEBUG_SLOW
flavour_faults  := -O2 -DNDEBUG_SLOW -DSLUICE_FAULTS
flavour_asan    := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-sanitize=alignment -DSLUICE_ASAN
# Fuzzing needs clang, whose warnings are others than those that the tree is kept free of.
flavour_fuzz    := -O1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-sanitize=alignment \
                   -DSLUICE_ASAN -w
CFLAGS_ALL := $(common) $(flavour_$(FLAVOUR)) $(CFLAGS)
# Of the warnings those that C++ has; no vptr checks, which would want another runtime at every link.
CXXFLAGS_ALL := $(filter-out -std=% -Wstrict-prototypes -Wmissing-prototypes,$(CFLAGS_ALL)) -std=gnu++17 \
                -fno-sanitize=vptr
ldflavour_release := -O1
ldflavour_faults  := -O1
ldflavour_asan    := -fsanitize=address,undefined
ldflavour_fuzz    := -fsanitize=fuzzer,address,undefined
LDFLAGS_ALL := $(ldflavour_$(FLAVOUR)) -fuse-ld=lld $(LDFLAGS)

# DPDK is linked statically, only the parts we use (drivers are constructors: they need --whole-archive).
dpdk_parts := log kvargs telemetry eal ring rcu mempool mempool_ring mbuf net meter ethdev hash pci bus_pci bus_vdev \
              cmdline timer gso security cryptodev dmadev pcapng \
              net_af_packet net_memif net_ring net_virtio vhost net_vhost \
              net_e1000 net_igc net_ixgbe net_i40e common_iavf net_iavf net_ice net_vmxnet3
# Of BPF only what a filter needs: all of it would want libelf, for programs from files.
dpdk_libs := -Wl,--whole-archive $(foreach p,$(dpdk_parts),-l:librte_$(p).a) -Wl,--no-whole-archive -l:librte_bpf.a
# RE2 is the one C++ library (dataplane/route/regex.cc). Its hooks are in the archive only.
libs_re2 := -Wl,--as-needed $(patsubst -lre2,-l:libre2.a,$(shell pkg-config --libs re2)) -lstdc++ -Wl,--no-as-needed
libs_dataplane := -l:libllhttp.a -lxxhash -lyyjson $(libs_re2) $(dpdk_libs) -lnuma -lm -lpthread -ldl
libs_control   := $(libs_re2) -llmdb -lyyjson -lxxhash -lcrypto -lcares -lpthread
libs_mgmt      := -lpcap -lmicrohttpd -lyaml -lyyjson -lssl -lcrypto -lcurl -llmdb -lxxhash -lpthread

# Each street is an archive of everything but the programs' mains, so that tests and the simulator link the very
# same objects as the programs.
src_dataplane := $(filter-out dataplane/main.c,$(wildcard dataplane/*.c dataplane/*/*.c)) dataplane/route/regex.cc
src_control   := $(filter-out control/main.c,$(wildcard control/*.c control/*/*.c)) $(B)/gen/kinds.c
src_mgmt      := $(filter-out mgmt-api/main.c mgmt-api/ctl/main.c,$(wildcard mgmt-api/*.c mgmt-api/*/*.c))
obj = $(patsubst %.c,$(B)/obj/%.o,$(patsubst %.cc,$(B)/obj/%.o,$(1)))

programs := $(foreach p,$(if $(wildcard dataplane/main.c),sluice-dataplane) \
              $(if $(wildcard control/main.c),sluice-control) $(if $(wildcard mgmt-api/main.c),sluice-api) \
              $(if $(wildcard mgmt-api/ctl/main.c),sluicectl),$(B)/bin/$(p))
.PHONY: all
all: $(programs)
	@:

# Kinds are data (control/schema/*.schema), made into constant tables.
$(B)/gen/kinds.c: control/schema/schema.py $(wildcard control/schema/*.schema)
	@mkdir -p $(@D)
	@echo "gen $@"
	@python3 control/schema/schema.py $(filter %.schema,$^) > $@

$(B)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	@echo "cc $<"
	@$(CC) $(CFLAGS_ALL) -c $< -o $@

$(B)/obj/%.o: %.cc Makefile
	@mkdir -p $(@D)
	@echo "c++ $<"
	@$(CXX) $(CXXFLAGS_ALL) -c $< -o $@

$(B)/libdataplane.a: $(call obj,$(src_dataplane))
$(B)/libcontrol.a: $(call obj,$(src_control))
$(B)/libmgmt.a: $(call obj,$(src_mgmt))
$(B)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	@ar rcs $@ $^

# Archives are given twice around where control and the data plane need each other's lower layers.
link = @mkdir -p $(@D); echo "ld $@"; $(CC) $(LDFLAGS_ALL) -o $@ $(1) $(2)
# Exported symbols: stacks of hung workers are printed with names.
$(B)/bin/sluice-dataplane: $(B)/obj/dataplane/main.o $(B)/libdataplane.a
	$(call link,$^,-rdynamic $(libs_dataplane))
$(B)/bin/sluice-control: $(B)/obj/control/main.o $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_control) $(libs_dataplane))
$(B)/bin/sluice-api: $(B)/obj/mgmt-api/main.o $(B)/libmgmt.a $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_mgmt))
$(B)/bin/sluicectl: $(B)/obj/mgmt-api/ctl/main.o $(B)/libmgmt.a $(B)/libcontrol.a $(B)/libdataplane.a
	$(call link,$^,$(libs_mgmt))

include $(wildcard tests/*.mk platform/*/*.mk)
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

#: make clean          remove what was built in this clone (the root stays)
.PHONY: clean
clean:
	@! ls build/lab/*.pid >/dev/null 2>&1 || { echo "error: the lab is up: make stop first" >&2; exit 1; }
	rm -rf build

#: make help           this list
.PHONY: help
help:
	$(show_help)

endif
