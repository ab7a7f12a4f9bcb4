# Every target is one line that calls cargo or a script; each installs what it needs.
.PHONY: demo test check build install static package image engines bench corpus containers fuzz soak

demo: ; scripts/demo.sh
test: ; scripts/test.sh
check: ; scripts/check.sh
build: ; cargo build --release --locked
bench: ; scripts/bench.sh
corpus: ; scripts/corpus.sh
containers: ; scripts/containers.sh
SECONDS_EACH ?= 60
fuzz: ; scripts/fuzz.sh $(SECONDS_EACH)
soak: ; scripts/soak.sh $(SECONDS_EACH)
static: ; scripts/static.sh
package: ; scripts/package.sh
image: ; scripts/image.sh
engines: ; scripts/engines.sh
PREFIX ?= /usr/local
install: build ; scripts/install.sh target/release/v4run $(DESTDIR)$(PREFIX)
