#: make lint           include order, header homes, no thread-locals below worker/, pure protocol code, text
.PHONY: lint
lint:
	@tests/lint/lint
