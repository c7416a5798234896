# One line each: `make help`. Needs python3, make and a C compiler; everything else goes into .venv.
PYTHON ?= python3
VENV = .venv
OLDEST ?= python3.10
TORCH ?= torch==2.13.0+cpu
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check

# What the extension is made of: a change in any of them rebuilds it.
ENGINE = setup.py pyproject.toml gdfast/_core.pyx gdfast/_core.pxd $(wildcard gdfast/*.pxi src/*.c src/*.h src/*.inc)

WARNINGS = -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow -Wundef -Wvla -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes
# Two that cppcheck cannot follow: a chunk has at least one block; entries of a[] are written before they are read.
CPPCHECK = cppcheck --quiet --std=c11 --inline-suppr --error-exitcode=1 --enable=warning,portability,performance \
    --suppress=missingIncludeSystem --suppress=nullPointer:src/engine.c --suppress=uninitvar:src/walk.c

.PHONY: help demo test test-c test-slow test-oldest docs docs-links benchmark benchmark-check growth compare lint sanitize wheel clean

help:
	@echo "make demo       build, train on real data by command and in Python, compare, draw (files in demo/)"
	@echo "make test       C tests, then the Python suite without the slow tests"
	@echo "make test-c     the C tests alone"
	@echo "make test-slow  the slow tests of both"
	@echo "make test-oldest  the Python suite on the oldest of everything: OLDEST=python3.10, tests/oldest.txt"
	@echo "make docs       the documentation site, in build/docs: runs its code, warnings are errors, links inside it are checked"
	@echo "make docs-links  links to other sites, over the network"
	@echo "make benchmark  measure beside other libraries, write docs/benchmarks.md"
	@echo "make benchmark-check  this tree beside the commit where it left main: fails if anything has become slower"
	@echo "make growth     measure how cost grows with rows, columns, classes, condition; write docs/performance.md"
	@echo "make compare    race other libraries to the optimum, write docs/solve.md: COMPARE='--problems a9a --repeats 1'"
	@echo "make lint       ruff, cython-lint, mypy, stubtest, compiler warnings, cppcheck if it is installed"
	@echo "make sanitize   the C tests under ASan, UBSan and, where it runs, TSan"
	@echo "make wheel      build a wheel, install it elsewhere, check it"
	@echo "make clean      remove all that the others made"

demo: $(VENV)/users
	$(BIN)/python examples/demo.py

test: test-c $(VENV)/developers
	$(BIN)/python -m pytest -m "not slow"

test-c:
	$(MAKE) -C tests/c

test-slow: $(VENV)/developers $(VENV)/writers
	$(MAKE) -C tests/c GROUPS_TO_RUN=big
	$(BIN)/python -m pytest -m slow --timeout 1800 || [ $$? -eq 5 ]  # 5: there are none

test-oldest:
	$(OLDEST) -m venv --clear build/oldest
	build/oldest/bin/python -m pip install --quiet --disable-pip-version-check --constraint tests/oldest.txt --editable '.[test]'
	build/oldest/bin/python -m pytest -m "not slow"

docs: $(VENV)/writers
	$(BIN)/python -m sphinx -b html -W --keep-going -q docs build/docs
	@echo "build/docs/index.html"

docs-links: $(VENV)/writers
	$(BIN)/python -m sphinx -b linkcheck -q docs build/docs-links

benchmark: $(VENV)/developers
	$(BIN)/python -m benchmarks

benchmark-check: $(VENV)/developers
	$(BIN)/python -m benchmarks.check

growth: $(VENV)/developers
	$(BIN)/python -m benchmarks.growth

compare: $(VENV)/rivals
	$(BIN)/python -m benchmarks.solve $(COMPARE)

lint: $(VENV)/developers
	$(BIN)/ruff check .
	PATH="$(abspath $(BIN)):$$PATH" cython-lint gdfast examples
	$(BIN)/mypy gdfast tests/typing/sample.py
	$(BIN)/python -m mypy.stubtest --mypy-config-file pyproject.toml --allowlist tests/stubtest_allowlist.txt --ignore-unused-allowlist gdfast._core
	for file in src/*.c; do $(CC) -std=c11 -D_GNU_SOURCE -O1 $(WARNINGS) -Werror -c $$file -o /dev/null || exit 1; done
	if command -v cppcheck; then $(CPPCHECK) -I src src; else echo "cppcheck is not installed: skipped"; fi

sanitize:
	$(MAKE) -C tests/c VARIANT=asan
	if echo 'int main(void) { return 0; }' | $(CC) -fsanitize=thread -x c - -o build/tsan_probe && build/tsan_probe; \
	    then $(MAKE) -C tests/c VARIANT=tsan GROUPS_TO_RUN="threads moments many grid"; else echo "TSan does not run here: skipped"; fi

wheel: | $(BIN)/python
	rm -rf build/wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --disable-pip-version-check build/wheel/*.whl
	cd / && "$(abspath build/wheel/venv/bin/python)" "$(abspath tests/check_wheel.py)"

clean:
	rm -rf $(VENV) build dist demo docs/generated *.egg-info gdfast/*.so
	rm -rf .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -r {} +

# The stamps: the package with its extras, installed in place. Developers and writers have what users have, and rivals go beside them.
$(VENV)/users: $(ENGINE) | $(BIN)/python
	$(PIP) --editable '.[all]'
	touch $@

$(VENV)/developers: $(ENGINE) | $(BIN)/python
	$(PIP) --editable '.[test,lint]'
	touch $(VENV)/users $@

$(VENV)/writers: $(ENGINE) | $(VENV)/torch
	$(PIP) --editable '.[docs]'
	touch $(VENV)/users $@

# The build without CUDA, a tenth as large. A page compares with it, and so does the race.
$(VENV)/torch: | $(BIN)/python
	$(PIP) --extra-index-url https://download.pytorch.org/whl/cpu '$(TORCH)' || echo "$(TORCH) does not install: left out"
	touch $@

# One by one: those that do not install here are named in the report.
$(VENV)/rivals: $(VENV)/developers | $(VENV)/torch
	for rival in $$($(BIN)/python -c "from importlib.metadata import requires; \
	    print(*(line.split(';')[0] for line in requires('gdfast') if 'compare' in line and 'torch' not in line))"); \
	    do $(PIP) "$$rival" || echo "$$rival does not install: left out"; done
	touch $@

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
