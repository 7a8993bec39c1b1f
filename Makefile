# `make` alone lists what there is. Everything runs on a clean clone with Go and nothing else, but for `test`,
# which installs what the browser tests need.

SHELL := /bin/bash -euo pipefail
GO ?= go
LINT := .cache/bin/golangci-lint
LINT_VERSION := v2.15.0
GREMLINS := .cache/bin/gremlins
GREMLINS_VERSION := v0.6.0
# The rooms whose rules are held by mutation tests.
ROOMS := verify limit deliver queue webhook keyring link proof message phone application
ROOM ?= $(ROOMS)
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
# How long each fuzz target runs.
FUZZTIME ?= 5m

.DEFAULT_GOAL := help
.PHONY: help run build test check soak counts instructions mutants bench microbench fuzz generate clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

run: ## run it for trying out: API, handset and key on http://127.0.0.1:8080
	@echo 'Compiling: the first time, this takes a minute or two.'
	@$(GO) run ./cmd/dialproof dev

build: ## build the static binary bin/dialproof
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/dialproof ./cmd/dialproof

test: ## install what the tests need and run them all, with the race detector
	scripts/setup-test.sh
	$(GO) vet ./...
	GORACE=atexit_sleep_ms=50 $(GO) test -race -shuffle=on -timeout 9m ./... # a second for each package else
	$(MAKE) --no-print-directory counts instructions

check: $(LINT) ## lint, tidy and generated files, as before every commit
	$(LINT) run ./...
	$(GO) mod tidy -diff
	CGO_ENABLED=0 $(GO) build ./...
	for os in darwin windows; do GOOS=$$os CGO_ENABLED=0 $(GO) vet ./cmd/dialproof || exit 1; done
	$(MAKE) --no-print-directory generate
	git diff --exit-code -- docs client sdk || { echo "generated pages have changed: commit what 'make generate' wrote" >&2; exit 1; }

counts: ## hold the allocations of the hot path against their baseline (not with the race detector, which changes them)
	$(GO) test -count=1 -run '^TestCounts$$' ./internal/app

instructions: ## hold its instructions against theirs (valgrind, half a minute)
	scripts/instructions.sh

soak: ## run the long proofs too (minutes to hours)
	DIALPROOF_SOAK=1 $(GO) test -timeout 0 -count=1 ./...
	$(MAKE) --no-print-directory mutants

mutants: $(GREMLINS) ## run the mutation tests of rooms (ROOM="limit link"; DIFF=main takes changed lines only)
	DIFF="$(DIFF)" scripts/mutants.sh $(ROOM)

bench: ## measure a verification beside the floor, on SQLite and PostgreSQL (BENCH="--rounds 7 --ops 40000")
	scripts/bench.sh $(BENCH)

microbench: ## run every Go benchmark once
	$(GO) test -run '^$$' -bench . -benchmem ./...

fuzz: ## run every fuzz target for FUZZTIME (5m)
	@grep -rHoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | while IFS=: read -r file line; do \
		echo "== $${line#func } in $$(dirname $$file), $(FUZZTIME)"; \
		$(GO) test -run '^$$' -fuzz "^$${line#func }$$" -fuzztime $(FUZZTIME) "$$(dirname $$file)" || exit 1; \
	done

generate: ## make the generated pages and the types of the SDKs anew
	scripts/setup-test.sh
	$(GO) generate ./...
	sdk/generate.sh

clean: ## remove what was built
	rm -rf bin .cache sdk/typescript/dist

$(LINT): Makefile
	GOBIN=$(CURDIR)/.cache/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	@touch $@

$(GREMLINS): Makefile
	GOBIN=$(CURDIR)/.cache/bin $(GO) install github.com/go-gremlins/gremlins/cmd/gremlins@$(GREMLINS_VERSION)
	@touch $@
