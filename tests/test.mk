#: make test           the proof, in at most 15 minutes: lint, unit, wire, fuzz corpora, simulation, crash, peer, end to end
#: make test-long      everything in full
.PHONY: test test-long
# Each suite ends with its own closing line; tally adds them up and goes on after a failure.
test: all
	@$(MAKE) FLAVOUR=asan all
	@tests/tally test "make lint" "make unit" "make wire" "make fuzz-corpus" "make sim SEEDS=100" \
		"make sim-asan SEEDS=30" "make sim-faults" "make crash" "env PEER_FLOWS=15 PEER_KIB=32 make peer" "make attack" "make e2e"
test-long: all
	@tests/tally test-long "make test" "make wire-mutants" "make sim SEEDS=10000 STREAMS_SEEDS=10000 DENIAL_SEEDS=1024" \
		"make sim-http SEEDS=2000" "make sim-asan SEEDS=1000 DENIAL_SEEDS=1024" "make fuzz FUZZ_SECONDS=600" "make peer" "env FLAVOUR=asan tests/peer/peer.py" \
		"env KILLS=1000 tests/crash/control_killed.py" "make attack-long" "make e2e-long"
