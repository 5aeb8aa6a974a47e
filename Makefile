# Pergola's tasks. `make` alone lists them.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
DATE    ?= $(shell date -u +%Y-%m-%dT%H:%M:%SZ)
APP     := github.com/pergola-mesh/pergola/internal/app
LDFLAGS := -s -w -X $(APP).version=$(VERSION) -X $(APP).commit=$(COMMIT) -X $(APP).date=$(DATE)

# How long `make fuzz` spends on each target, or on all of them together (in seconds: 720s) when that is
# given; and which systems `make check` builds for.
FUZZTIME   ?= 60s
FUZZBUDGET ?=
TARGETS    ?= linux/arm64 darwin/arm64 windows/amd64
# What `make race` covers, and what `make bench` is given, such as BENCHFLAGS=-quick.
RACE       ?= ./...
BENCHFLAGS ?=

# The version is stamped by LDFLAGS; Go's own stamp fails in a clone that another user owns.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

.PHONY: help run build test race fuzz corpus lint bench fmt check clean

help: ## List these tasks
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' Makefile

run: build ## Start the gateway from traefik.toml with two demonstration backends
	@integration/tools/run-demo

build: ## Compile bin/pergola
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/pergola ./cmd/pergola

test: build ## Vet, unit tests, then black-box tests of the binary against real servers
	@integration/tools/need nginx curl gtlsclient chromium redis-server testssl mariadbd mariadb pg_ctlcluster psql gcc
	go vet ./...
	go test $$(go list ./... | grep -v '/integration$$')
	PERGOLA_BINARY=$(CURDIR)/bin/pergola go test -count=1 -timeout 30m ./integration

race: ## Unit tests under the race detector; RACE=./proxy/... narrows it
	@integration/tools/need gcc
	CGO_ENABLED=1 go test -race $$(go list $(RACE) | grep -v '/integration$$')

fuzz: ## Run every fuzz target for FUZZTIME (60s) each, or all for FUZZBUDGET (720s) together; ONLY=regexp narrows it
	@integration/tools/fuzz-all $(if $(FUZZBUDGET),-total $(FUZZBUDGET),$(FUZZTIME))

corpus: ## Keep a small selection of what fuzzing has found in testdata/fuzz
	go run ./integration/tools/corpus

lint: ## Check formatting, vet, staticcheck
	@unformatted=$$(gofmt -l .); if [ -n "$$unformatted" ]; then \
	  echo "not formatted (make fmt mends it):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

bench: build ## Measure against nginx, HAProxy, Envoy and Caddy; BENCHFLAGS=-quick for a short run
	@integration/tools/need nginx haproxy wrk h2load strace taskset
	go run ./integration/bench $(BENCHFLAGS)

fmt: ## Format the Go code
	gofmt -w .

check: lint ## Lint, then build and vet (tests too) for the other systems
	@for target in $(TARGETS); do \
	  echo "check $$target"; \
	  export GOOS=$${target%/*} GOARCH=$${target#*/} CGO_ENABLED=0; \
	  go build -pgo=off -o /dev/null ./cmd/pergola; \
	  go vet ./...; \
	done

clean: ## Remove bin and .cache
	rm -rf bin .cache
