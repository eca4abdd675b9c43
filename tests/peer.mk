#: make peer           kernel TCP on both sides of the gateway, through wires that lose, reorder, duplicate and corrupt
$(B)/peer/relay: $(B)/obj/tests/peer/relay.o $(B)/obj/dataplane/base/rng.o
	$(call link,$^)

.PHONY: peer
peer: all $(B)/peer/relay
	@tests/tally peer tests/peer/peer.py

#: make peer-goodput   goodput of a single flow beside that of Linux to Linux, by the same lossy wire (GOODPUT_RUNS=5)
.PHONY: peer-goodput
peer-goodput: all $(B)/peer/relay
	@tests/tally peer-goodput "chrt -f 1 tests/peer/goodput.py"
