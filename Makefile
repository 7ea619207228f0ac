# SPDX-License-Identifier: GPL-2.0
# MemOS: one Linux over many servers. "make help" lists the targets.
KERNEL ?= stock
CPUS ?= 1
MEM ?= 1G
NODES ?=
NAME ?= default
JOBS ?= 2

QEMU := tools/testing/qemu
CLUSTER := $(QEMU)/cluster.py
SELFTESTS := tools/testing/selftests/dsm
GVMTESTS := tools/testing/selftests/gvm/tests.list
CORE := tools/testing/core
O := $(CURDIR)/build
SUB := $(MAKE) --no-print-directory -j$(JOBS)

.DEFAULT_GOAL := help
export JOBS

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "Knobs: KERNEL=stock|deb|qemu[-patched]|debug[-patched] NODES= CPUS= MEM= NAME= T= ARGS= JOBS="

deps: ## install missing Debian packages (root)
	@scripts/deps.sh $(O)/deps.stamp

modules: deps ## dsm.ko for KERNEL, into build/modules-KERNEL
	@scripts/modules-build.sh $(KERNEL)

kernel: deps ## build kernel variant KERNEL (qemu[-patched], debug[-patched]), cached
	@scripts/kernel-build.sh $(KERNEL)

deb-kernel: deps ## Debian packages of the patched kernel, into build/deb; KERNEL=deb runs them
	@scripts/deb-kernel.sh

tools: deps ## dsmctl, dsmtop, dsm-bench, gvm, … into build/tools
	@$(SUB) -C tools OUTPUT=$(O)/tools

tools-check: tools ## the tools' own tests
	@$(SUB) -C tools check OUTPUT=$(O)/tools

core-test tables: deps
	@$(SUB) -C $(CORE) $@

exhaust mutate fuzz: deps
	@$(SUB) -C tools/testing/$@ $@

sim sim-check sim-soak: deps
	@$(SUB) -C tools/testing/sim $@

gvm-unit: deps
	@$(SUB) -C tools/testing/gvm/unit $@

core-test: ## unit tests of the protocol core
gvm-unit: ## unit tests of gvm's parts without I/O
exhaust: ## every interleaving of small configurations
tables: ## generate the transition tables in Documentation/
sim: ## one deterministic simulation: SEED=n
sim-check: ## the simulation's fixed seeds
sim-soak: ## new seeds for MINUTES=m
mutate: ## do the core's tests notice mutants?
fuzz: ## fuzz codecs and state machines

selftest-programs: deps
	@$(SUB) -C $(SELFTESTS) OUTPUT=$(O)/selftests

tests-check: selftest-programs ## the selftests' own test: on a tmpfs, and litmus on broken memory
	@$(SUB) -C $(SELFTESTS) check OUTPUT=$(O)/selftests

coherent-test:
	@$(MAKE) -s -C modules/coherent-test KDIR=$$(scripts/kdir.sh $(KERNEL))

# Modules that tests of the patch series load.
TESTMODS := $(if $(filter %-patched,$(KERNEL)),coherent-test)

selftest: modules tools selftest-programs $(TESTMODS) ## one selftest: T=name [NODES=] [KERNEL=]
	@test -n "$(T)" || { echo "usage: make selftest T=name [NODES=n] [KERNEL=debug]" >&2; exit 2; }
	@$(CLUSTER) run --kernel $(KERNEL) --cpus $(CPUS) --mem $(MEM) $(if $(NODES),--nodes $(NODES)) $(T)

selftests: modules tools selftest-programs $(TESTMODS) ## all selftests of tests.list that suit KERNEL
	@$(CLUSTER) run --kernel $(KERNEL) --cpus $(CPUS) --mem $(MEM)

gvm-selftests: modules tools ## gvm's tests on emulated servers: [T="name…"] [NODES=] [KERNEL=]
	@$(CLUSTER) run --list $(GVMTESTS) --kernel $(KERNEL) --cpus $(CPUS) --mem $(MEM) $(if $(NODES),--nodes $(NODES)) $(T)

ifeq ($(origin KERNEL),file)
soak-gvm: KERNEL := qemu-patched
endif
soak-gvm: modules tools ## N cycles of a guest over two servers: [GVM_SOAK=kvmlet] [KERNEL=]
	@N=$(N) KERNEL=$(KERNEL) scripts/soak-gvm.sh

cluster: modules ## servers with dsmfs mounted, left running (end: cluster.py down)
	@$(CLUSTER) up --name $(NAME) --kernel $(KERNEL) --cpus $(CPUS) --mem $(MEM) --nodes $(or $(NODES),2) --dsm

harness-test: deps ## does the emulated cluster see red where it must?
	@$(QEMU)/tests/run.sh

bench: modules tools pingpong ## latency and bandwidth, beside raw RDMA in the same boot
	@scripts/bench.sh $(ARGS)

pingpong: deps ## raw verbs round trips, the yardstick of bench
	@$(MAKE) -s -C modules/dsm-pingpong

demo: modules tools ## the tour: a minute of shared memory, then demo-gvm
	@python3 tools/testing/qemu/demo.py $(ARGS)
	@$(MAKE) demo-gvm

demo-gvm: ## one Linux on two emulated servers; builds the patched kernel once (8 to 16 minutes), then takes two
	@$(MAKE) modules tools KERNEL=qemu-patched
	@python3 tools/testing/gvm/demo.py $(ARGS)

lint: deps ## sparse, checkpatch, header, purity, document and syntax checks
	@scripts/lint.sh

patches-check: deps ## the kernel patch series: does it apply, compile, cost nothing when off?
	@scripts/patches.sh check

fault-cost: deps ## what does the patch series cost other faults? (builds qemu and qemu-patched)
	@python3 tools/testing/faultcost/run.py $(ARGS)

kvm-cost: deps ## what does it cost a VM that uses nothing of it? (builds qemu and qemu-patched)
	@python3 tools/testing/gvm/kvmcost.py $(ARGS)

mm-selftests: deps ## the kernel's own mm kselftests: alike with and without the patch series?
	@python3 tools/testing/mm-selftests/run.py $(ARGS)

check: ## everything CI runs; FULL=1 adds the long parts
	@scripts/check.sh

clean: ## remove build/ (kernels stay in ~/.cache/memos)
	@rm -rf $(O)

.PHONY: help deps modules kernel deb-kernel tools tools-check core-test gvm-unit tables exhaust sim sim-check sim-soak mutate fuzz \
	selftest-programs tests-check coherent-test selftest selftests gvm-selftests soak-gvm cluster harness-test bench pingpong demo demo-gvm lint patches-check \
	fault-cost kvm-cost mm-selftests check clean
