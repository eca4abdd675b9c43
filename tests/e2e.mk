#: make e2e            real programs in network namespaces: curl, wrk, configuration changes, in a short form
#: make e2e-long       the same in full: 20 s of wrk, 1 GiB bodies, 200 changes under kill -9, 5 idle minutes
.PHONY: e2e e2e-long
e2e: all
	@$(MAKE) FLAVOUR=asan all
	@$(MAKE) FLAVOUR=faults all
	@for f in release asan; do $(MAKE) FLAVOUR=$$f UNIT=proxy/test_smuggling unit-programs || exit 1; done
	@tests/tally e2e --together 2 tests/e2e/programs.py "env FLAVOUR=asan tests/e2e/programs.py" tests/e2e/lab.py \
		tests/e2e/management.py "env FLAVOUR=asan tests/e2e/management.py" \
		tests/e2e/http.py "env FLAVOUR=asan WORKERS=2 tests/e2e/http.py" "env WORKERS=4 tests/e2e/http.py" \
		tests/e2e/http1.py "env FLAVOUR=asan tests/e2e/http1.py" tests/e2e/machine.py tests/e2e/names.py tests/e2e/pmtu.py \
		tests/e2e/vlan.py "env FLAVOUR=asan tests/e2e/vlan.py" \
		tests/e2e/link.py "env FLAVOUR=asan tests/e2e/link.py" \
		tests/e2e/http_route.py tests/e2e/route_match.py tests/e2e/filters.py "env FLAVOUR=asan tests/e2e/filters.py" \
		tests/e2e/http_route_status.py "env FLAVOUR=asan tests/e2e/http_route_status.py" \
		tests/e2e/filter_tables.py "env FLAVOUR=asan tests/e2e/filter_tables.py" \
		tests/e2e/capture.py "env FLAVOUR=asan tests/e2e/capture.py" \
		tests/e2e/tries.py "env FLAVOUR=asan tests/e2e/tries.py" "env FLAVOUR=asan tests/e2e/hostile.py" \
		--alone tests/e2e/offload.py tests/e2e/hang.py tests/e2e/ports.py tests/e2e/logs.py tests/e2e/slow.py \
		tests/e2e/wrk.py "env FLAVOUR=asan WRK_SECONDS=2 tests/e2e/wrk.py" \
		tests/e2e/bulk.py "env FLAVOUR=asan BULK_MIB=16 tests/e2e/bulk.py" \
		tests/e2e/churn.py "env FLAVOUR=asan CHURN_APPLIES=10 tests/e2e/churn.py" \
		tests/e2e/idle.py "env FLAVOUR=faults tests/e2e/idle.py a_lost_wake_up_is_seen"
e2e-long: all
	@$(MAKE) FLAVOUR=asan all
	@tests/tally e2e-long "env APPLIES=500 tests/e2e/management.py" \
		"env WRK_SECONDS=20 tests/e2e/wrk.py" "env FLAVOUR=asan WRK_SECONDS=20 tests/e2e/wrk.py" \
		"env BULK_MIB=1024 tests/e2e/bulk.py" "env FLAVOUR=asan BULK_MIB=1024 tests/e2e/bulk.py" \
		"env CHURN_APPLIES=200 tests/e2e/churn.py" "env FLAVOUR=asan CHURN_APPLIES=200 tests/e2e/churn.py" \
		"env FRAMES=200000 tests/e2e/hostile.py" "env FLAVOUR=asan FRAMES=100000 tests/e2e/hostile.py" \
		"env LOGS_SECONDS=20 tests/e2e/logs.py" "env FLAVOUR=asan LOGS_SECONDS=20 tests/e2e/logs.py" \
		"env SLOW_SECONDS=150 tests/e2e/slow.py" "env IDLE_SECONDS=300 tests/e2e/idle.py" "env FLAVOUR=asan tests/e2e/machine.py"
