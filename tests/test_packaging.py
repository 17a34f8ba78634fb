"""`twist` finds hraft's plugin from an installed wheel and from a checkout; wheel and sdist hold what they should."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import hraft

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("benchmarks", "changelog.d", "chaos", "deploy", "docs", "fuzz", "hraft", "scripts", "tests", "twisted")
#: What is in a checkout beside what is in the repository.
LEFT_BY_TOOLS = shutil.ignore_patterns("__pycache__", "*.pyc", "dropin.cache", ".*")
BUILD = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
LIST_PLUGINS = (
    "import hraft; from twisted.plugin import getPlugins; from twisted.application.service import IServiceMaker; "
    "print(hraft.__file__, [p.module for p in getPlugins(IServiceMaker) if p.tapname == 'hraft'])"
)


def run(*command: str, cwd: Path, python_path: str | None = None) -> str:
    """What a command prints, run without any trace of this checkout but what is said."""
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    if python_path is not None:
        environment["PYTHONPATH"] = python_path
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution, unpacked; built from a copy so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=LEFT_BY_TOOLS)
    for path in root_files():
        shutil.copy(path, copy)
    built = tmp_path_factory.mktemp("sdist")
    run(sys.executable, "-c", BUILD, "build_sdist", str(built), cwd=copy)
    with tarfile.open(built / f"hraft-{hraft.__version__}.tar.gz") as archive:
        archive.extractall(built, filter="data") if hasattr(tarfile, "data_filter") else archive.extractall(built)
    return built / f"hraft-{hraft.__version__}"


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from the source distribution as an index's users would."""
    built = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-c", BUILD, "build_wheel", str(built), cwd=sdist)
    [found] = built.glob("hraft-*.whl")
    return found


def root_files() -> list[Path]:
    return [path for path in ROOT.iterdir() if path.is_file() and not path.name.startswith(".")]


def files_below(folder: Path) -> set[str]:
    """Every file of a checkout's folder but what tools leave there, by its path in the project."""
    found = {path.relative_to(ROOT) for path in folder.rglob("*") if path.is_file()}
    return {path.as_posix() for path in found if not any(LEFT_BY_TOOLS("", [part]) for part in path.parts)}


def test_the_source_distribution_is_whole(sdist: Path) -> None:
    """Who packages hraft elsewhere can run its tests, build its pages and take its unit files."""
    there = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    assert set() == set().union(*(files_below(ROOT / folder) for folder in FOLDERS)) - there
    assert set() == {path.name for path in root_files()} - there
    assert [] == [name for name in there if name.endswith((".pyc", ".cache"))]


def test_wheel_holds_what_it_should(wheel: Path) -> None:
    """Every file of the package, the plugin and the manual; no tests, and no __init__.py that would hide Twisted's plugins."""
    names = set(zipfile.ZipFile(wheel).namelist())
    expected = {*files_below(ROOT / "hraft"), "twisted/plugins/hraft_plugin.py"}
    expected |= {f"hraft-{hraft.__version__}.data/data/share/man/man1/{name}" for name in ("hraft.1", "twist-hraft.1")}
    assert "hraft/py.typed" in expected
    assert expected == {name for name in names if ".dist-info/" not in name}
    assert f"hraft-{hraft.__version__}-" in wheel.name


def environment_with(wheel: Path, folder: Path) -> Path:
    """A fresh environment in which a wheel is installed, with this one's libraries behind it. Returns its Python."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python))
    run(*pip, "install", "--no-deps", "--no-index", str(wheel), cwd=folder)
    installed = Path(run(str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    (installed / "libraries.pth").write_text("\n".join(sorted(libraries)))
    return python


def test_plugin_of_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    """What a user has."""
    fresh = tmp_path / "fresh"
    python = str(environment_with(wheel, fresh))
    [installed] = fresh.glob("lib/*/site-packages")
    assert f"{installed / 'hraft' / '__init__.py'} ['hraft.tap']\n" == run(python, "-c", LIST_PLUGINS, cwd=tmp_path)
    assert "hraft" in run(python, "-m", "twisted", "--help", cwd=tmp_path)
    assert f"hraft {hraft.__version__}\n" == run(python, "-m", "twisted", "hraft", "--version", cwd=tmp_path)
    assert f"hraft {hraft.__version__}\n" == run(str(fresh / "bin" / "hraft"), "--version", cwd=tmp_path)
    assert (fresh / "share" / "man" / "man1" / "hraft.1").exists()


def test_plugin_of_an_editable_install(sdist: Path, tmp_path: Path) -> None:
    """Who follows the README through its tests has one, and runs nodes by it, wherever that is."""
    built = tmp_path / "built"
    built.mkdir()
    run(sys.executable, "-c", BUILD, "build_editable", str(built), cwd=sdist)
    [wheel] = built.glob("*.whl")
    python = str(environment_with(wheel, tmp_path / "fresh"))
    assert f"{sdist / 'hraft' / '__init__.py'} ['hraft.tap']\n" == run(python, "-c", LIST_PLUGINS, cwd=tmp_path)


def test_plugin_of_a_checkout(tmp_path: Path) -> None:
    """With PYTHONPATH, or where the checkout is the current directory."""
    expected = f"{ROOT / 'hraft' / '__init__.py'} ['hraft.tap']\n"
    assert expected == run(sys.executable, "-c", LIST_PLUGINS, cwd=tmp_path, python_path=str(ROOT))
    assert f"hraft {hraft.__version__}\n" == run(sys.executable, "-m", "twisted", "hraft", "--version", cwd=ROOT)


def test_plugin_is_lazy() -> None:
    """`twist --help` imports every plugin there is: a broken or slow one of ours would spoil everybody's."""
    script = "import sys, twisted.plugins.hraft_plugin; print(sorted(name for name in sys.modules if name.startswith('hraft')))"
    assert "[]\n" == run(sys.executable, "-c", script, cwd=ROOT)
