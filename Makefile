# make book         build the book into _build/html (BUDGET=smoke|laptop|full, default laptop)
# make chapter N=3  build that chapter alone, and open it
# make test         prove all of it: lint, unit tests, notebooks, book, browser
# make unit         the quick part of it: no notebooks, no browser
# make lint         style, types, imports, dependencies
# make test-numeric the numeric tests with the processor's instructions low and high, one thread and two
# make test-colab   the unit tests on the versions that Colab has (TORCH=colab takes its torch as well)
# make bench        measure: run every file in benchmarks/ and keep what it prints beside it
# make serve        show the built book on http://localhost:8000
# make lab          open the chapters in JupyterLab
# make stamp        write the address in _config.yml wherever it has to stand
# make clean        remove what was built, keep the environment

PYTHON ?= python3
BUDGET ?= laptop
PORT ?= 8000
REQUIREMENTS ?= requirements.txt
BIN := .venv/bin
export COURSE_BUDGET := $(BUDGET)
.PHONY: book chapter test unit lint test-numeric test-colab bench serve lab stamp clean

book: .venv/ready
	TQDM_DISABLE=1 $(BIN)/jupyter-book build . --all -W -n --keep-going
	@echo "The book ($(BUDGET) budget) is at $(CURDIR)/_build/html/index.html"

chapter: .venv/ready
	@test -f book/0$(N)_*.ipynb || { echo "Which chapter? For instance: make chapter N=3"; exit 1; }
	TQDM_DISABLE=1 $(BIN)/python book/_ext/one_chapter.py book/0$(N)_*.ipynb

test: lint
	@tests/install_chromium.sh
	$(BIN)/python -m pytest -n auto --dist loadscope --no-loadscope-reorder

unit: .venv/ready
	$(BIN)/python -m pytest -n auto --dist loadscope -m "not book and not slow" tests

lint: .venv/ready
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry --no-ansi course_utils

test-numeric: .venv/ready
	PYTHON=$(BIN)/python tests/numeric_grid.sh

test-colab: .venv-colab/ready
	.venv-colab/bin/python -m pytest -p no:platformdirs -m "not book" --ignore=tests/test_install.py tests

bench: .venv/ready
	for file in benchmarks/*.py; do $(BIN)/python -m $$(echo $${file%.py} | tr / .) > $${file%.py}.new && mv $${file%.py}.new $${file%.py}.txt && cat $${file%.py}.txt || exit 1; done

serve: .venv/ready
	@test -f _build/html/index.html || { echo "No book yet: run make book first."; exit 1; }
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

lab: .venv/ready
	$(BIN)/python -m jupyterlab book

stamp: .venv/ready
	$(BIN)/python book/_ext/stamp.py

clean:
	rm -rf _build build *.egg-info .pytest_cache .ruff_cache .mypy_cache .import_linter_cache

.venv/ready: $(REQUIREMENTS) constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("This course needs Python 3.11 or newer, and $(PYTHON) is %d.%d: try make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --upgrade pip
	$(BIN)/python -m pip install --requirement $(REQUIREMENTS)
	$(BIN)/python -c "from course_utils.share.runtime import runtime; runtime()"
	touch .venv/ready

# A second environment on top of the first: Colab's versions hide the newer ones. (Not what those tell
# pytest, so that a plugin which only the newer platformdirs has is asked for above not to be loaded.)
.venv-colab/ready: tests/colab-versions.txt .venv/ready
	$(BIN)/python -m venv --clear .venv-colab
	cd .venv-colab/lib/python*/site-packages && ls -d $(CURDIR)/.venv/lib/python*/site-packages > base.pth
	grep -v $(if $(TORCH),'^#',torch) tests/colab-versions.txt | .venv-colab/bin/python -m pip install -r /dev/stdin
	touch .venv-colab/ready
