#: make peer           kernel TCP on both sides of the gateway, through wires that lose, reorder, duplicate and corrupt
$(B)/peer/relay: $(B)/obj/tests/peer/relay.o $(B)/obj/dataplane/base/rng.o
	$(call link,$^)

.PHONY: peer
peer: all $(B)/peer/relay
	@tests/tally peer tests/peer/peer.py
