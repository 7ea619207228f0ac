# SPDX-License-Identifier: GPL-2.0
# For the Makefile of a module that is built by hand, outside of its own folder:
# set here, OUTPUT and KDIR, then include this. Kbuild writes beside the sources,
# so it is given links to them in OUTPUT.
kbuild = $(MAKE) -C $(KDIR) M=$(abspath $(OUTPUT)) $(1)

modules: links
	$(call kbuild,modules)

# The gate: as kbuild itself wants code to be.
check: links
	$(call kbuild,W=1 C=2 CF=-Wsparse-error KCFLAGS=-Werror modules)

links:
	mkdir -p $(OUTPUT)
	ln -sf $(wildcard $(here)/*.[ch]) $(here)/Makefile $(OUTPUT)

clean:
	rm -rf $(OUTPUT)

.PHONY: modules check links clean
