#: make run            the gateway, two nginx backends and a client on this machine (WORKERS=N, default 2)
#: make stop           ends and removes everything that make run made
WORKERS ?= 2
.PHONY: run stop
run: FORCE_ROOT
	@platform/root/enter $(MAKE) --no-print-directory all
	@WORKERS=$(WORKERS) platform/lab/lab up
stop: FORCE_ROOT
	@platform/lab/lab down
FORCE_ROOT:
	@[ "$$(id -u)" = 0 ] || { echo "make run and make stop need root (network namespaces, the build root)"; exit 1; }
