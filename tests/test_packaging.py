"""`twist` finds hraft's plugin from an installed wheel and from a checkout, and a wheel holds what it should and no more."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

import hraft

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "hraft", "twisted")
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
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from a copy so that the checkout stays as it is."""
    copy = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache"))
        else:
            shutil.copy(ROOT / name, copy / name)
    built = tmp_path_factory.mktemp("wheel")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(built), str(copy), cwd=copy)
    [found] = built.glob("hraft-*.whl")
    return found


def test_wheel_holds_what_it_should(wheel: Path) -> None:
    """Every module, the types' mark, the plugin; no tests, and no __init__.py that would hide Twisted's own plugins."""
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hraft").rglob("*.py")}
    assert modules <= names
    packed = {name for name in names if ".dist-info/" not in name}
    assert {"hraft/py.typed", "twisted/plugins/hraft_plugin.py"} == packed - modules
    assert f"hraft-{hraft.__version__}-" in wheel.name


def test_plugin_of_an_installed_wheel(wheel: Path, tmp_path: Path) -> None:
    """In a fresh environment, with this one's libraries behind it."""
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=False, symlinks=True)
    python = str(fresh / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--no-deps", "--no-index", str(wheel), cwd=tmp_path)
    installed = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    libraries = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}
    (installed / "libraries.pth").write_text("\n".join(sorted(libraries)))
    assert f"{installed / 'hraft' / '__init__.py'} ['hraft.tap']\n" == run(python, "-c", LIST_PLUGINS, cwd=tmp_path)
    assert "hraft" in run(python, "-m", "twisted", "--help", cwd=tmp_path)
    assert f"hraft {hraft.__version__}\n" == run(python, "-m", "twisted", "hraft", "--version", cwd=tmp_path)


def test_plugin_of_a_checkout(tmp_path: Path) -> None:
    """With PYTHONPATH, or where the checkout is the current directory."""
    expected = f"{ROOT / 'hraft' / '__init__.py'} ['hraft.tap']\n"
    assert expected == run(sys.executable, "-c", LIST_PLUGINS, cwd=tmp_path, python_path=str(ROOT))
    assert f"hraft {hraft.__version__}\n" == run(sys.executable, "-m", "twisted", "hraft", "--version", cwd=ROOT)


def test_plugin_is_lazy() -> None:
    """`twist --help` imports every plugin there is: a broken or slow one of ours would spoil everybody's."""
    script = "import sys, twisted.plugins.hraft_plugin; print(sorted(name for name in sys.modules if name.startswith('hraft')))"
    assert "[]\n" == run(sys.executable, "-c", script, cwd=ROOT)
