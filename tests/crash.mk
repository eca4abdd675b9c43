#: make crash          kill -9 of the control process under writes (KILLS=20)
.PHONY: crash
crash: all
	@$(MAKE) FLAVOUR=asan all
	@tests/tally crash tests/crash/control_killed.py "env FLAVOUR=asan KILLS=5 tests/crash/control_killed.py"
