"""Set-up as strangers meet it: an empty environment, and Colab with one notebook and no package."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
CHAPTER = ROOT / "book" / "01_unet2dmodel.ipynb"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = [name for extra in PROJECT["optional-dependencies"].values() for name in extra]


def pins(file):
    lines = (ROOT / file).read_text().splitlines()
    found = (re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines)
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


def numbers(version):
    return [int(part) for part in re.findall(r"\d+", version)]


def python_of(folder):
    return folder / "bin" / "python"


def run(*command, **how):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **how)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture
def checkout(tmp_path):
    """What pip needs of the project, apart, so that building leaves nothing in the project."""
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT / "course_utils", copy / "course_utils")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


def test_the_package_installs_into_an_empty_environment_and_imports(tmp_path, checkout):
    """Importing loads none of the large libraries, so this holds even before they are there."""
    venv.create(tmp_path / "empty", with_pip=True)
    python = python_of(tmp_path / "empty")
    run(python, "-m", "pip", "install", "--quiet", "--no-deps", checkout)
    code = "import course_utils; print(course_utils.__version__, course_utils.by_budget.__name__)"
    assert run(python, "-c", code, cwd=tmp_path).split() == [PROJECT["version"], "by_budget"]
    told = run(tmp_path / "empty" / "bin" / "course-utils", "--help", cwd=tmp_path)
    assert "usage: python -m course_utils COMMAND" in told
    broken = subprocess.run(
        [python, "-m", "course_utils.check"], capture_output=True, text=True, check=False
    )
    assert broken.returncode == 1  # and the check says so, and what to do
    assert "torch" in broken.stdout
    assert 'pip install "torch>=' in broken.stdout


NOT_ON_COLAB = {"tyro"}  # a small package that is installed with ours


def named(requirement):
    return re.split(r"[>=]", requirement)[0].lower().replace("_", "-")


def test_floors_lie_at_or_below_colabs_versions_and_nothing_is_capped():
    colab = pins("tests/colab-versions.txt")
    for requirement in PROJECT["dependencies"]:
        floor = re.fullmatch(r"[\w-]+>=([\d.]+)", requirement)[1]
        if named(requirement) not in NOT_ON_COLAB:
            assert numbers(floor) <= numbers(colab[named(requirement)]), requirement
    assert {named(r) for r in PROJECT["dependencies"]} - set(colab) == NOT_ON_COLAB
    assert PROJECT["requires-python"] == ">=3.11"


def test_requirements_are_exact_and_agree_with_the_constraints():
    exact, all_of_it = pins("requirements.txt"), pins("constraints.txt")
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    assert len(wanted) == len(exact)
    assert exact.items() <= all_of_it.items()
    needed = {named(r) for r in [*PROJECT["dependencies"], *EXTRAS]}
    assert needed <= set(exact)
    assert all(re.fullmatch(r"[\w-]+>=[\d.]+", name) for name in EXTRAS)  # nothing is capped


# Programs and plugins: the file that runs each, and the words with which it does.
RUN = {
    "deptry": ("Makefile", "/deptry "),
    "import-linter": ("Makefile", "/lint-imports "),
    "jupyter-book": ("Makefile", "/jupyter-book build"),
    "jupyterlab": ("Makefile", "-m jupyterlab"),
    "mypy": ("Makefile", "/mypy"),
    "nbstripout": (".pre-commit-config.yaml", "/nbstripout "),
    "nbval": ("pyproject.toml", "--nbval-lax"),
    "pre-commit": ("CONTRIBUTING.md", "/pre-commit install"),
    "pytest-xdist": ("Makefile", "--dist loadscope"),
    "ruff": ("Makefile", "/ruff check"),
    "sphinx-mathjax-offline": (
        "book/_ext/course_weight.py",
        'distribution("sphinx-mathjax-offline")',
    ),
}
MODULES = {"beautifulsoup4": "bs4", "fonttools": "fontTools", "pyyaml": "yaml"}


def test_nothing_in_the_requirements_is_unused():
    """What the package needs is deptry's to check; the rest is imported, or a program we run."""
    files = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "book/_ext").glob("*.py")]
    imported = set()
    for file in [*files, ROOT / "conftest.py"]:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom) and not node.level:
                imported.add(node.module.split(".")[0])
    needed = {named(r) for r in [*PROJECT["dependencies"], *EXTRAS]}
    for name in set(pins("requirements.txt")) - needed:
        if name in RUN:
            file, words = RUN[name]
            assert words in (ROOT / file).read_text(), name
        else:
            assert MODULES.get(name, name.replace("-", "_")) in imported, name


def test_colab_rehearsal(tmp_path, checkout):
    """One notebook in an empty folder; everything but our package is there, as on Colab."""
    venv.create(tmp_path / "colab", with_pip=True)
    python = python_of(tmp_path / "colab")
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "base.pth").write_text(sysconfig.get_path("purelib"))
    alone = tmp_path / "content"
    alone.mkdir()
    shutil.copy(CHAPTER, alone)
    missing = subprocess.run([python, "-c", "import course_utils"], cwd=alone, check=False)
    assert missing.returncode != 0

    env = os.environ | {"COURSE_UTILS_SPEC": str(checkout)}
    execute = "from nbclient.cli import main; main()"
    run(python, "-c", execute, "--inplace", CHAPTER.name, cwd=alone, env=env)
    where = run(python, "-c", "import course_utils; print(course_utils.__file__)", cwd=alone)
    assert str(site) in where
    opened = "from course_utils.models import gallery; print(gallery.load('sprites-16').labels)"
    assert "potion" in run(python, "-c", opened, cwd=alone)  # the weights came along
    executed = (alone / CHAPTER.name).read_text()
    assert "budget   smoke" in executed
    assert [path.name for path in alone.iterdir()] == [CHAPTER.name]  # nothing left behind


def test_the_progress_bars_of_other_libraries_are_quiet_in_a_notebook(monkeypatch):
    """Where ipywidgets is missing the first one would warn: IProgress not found."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    code = (
        "import course_utils\ncourse_utils.start_chapter('digits', 'bundled')\n"
        "from diffusers import DDPMPipeline\nfrom tqdm.auto import tqdm\nlist(tqdm(range(2)))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    NotebookClient(notebook, kernel_name="python3").execute()
    shown = str(notebook.cells[0].outputs)
    assert "2/2" in shown
    assert "Warning" not in shown


def test_this_python_is_one_the_project_promises():
    assert sys.version_info >= (3, 11)
