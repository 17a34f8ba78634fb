"""How hraft is built and installed. Settings of tools are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
#: Read, not imported: hraft's dependencies need not be there yet.
[VERSION] = re.findall(r'^__version__ = "(.+)"$', (HERE / "hraft" / "__init__.py").read_text("utf-8"), re.MULTILINE)

setup(
    name="hraft",
    version=VERSION,
    description="A replicated key-value store made of Twisted, with Raft inside",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    author="the hraft authors",
    license="MIT",
    python_requires=">=3.10",
    # `twisted.plugins` is not a package of ours (it has no __init__.py), so it must be named for the plugin to be installed.
    # An editable install puts the checkout itself on the path only if it is told that this is where all packages are; else there
    # is an import hook in its place, which Twisted does not ask for plugins.
    package_dir={"": "."},
    packages=[*find_packages(include=["hraft", "hraft.*"]), "twisted.plugins"],
    package_data={"hraft": ["py.typed"], "hraft.web.dashboard": ["*.html", "*.css", "*.js", "*.svg"]},
    data_files=[("share/man/man1", ["docs/man/hraft.1", "docs/man/twist-hraft.1"])],
    zip_safe=False,
    install_requires=[
        "twisted[tls]>=25.5",
        "klein>=24.8",
        "treq>=24.9.1",
        "msgspec>=0.19",
        "prometheus-client>=0.21",
        "click>=8.2",
        "rich>=13.9.4",
        "cryptography>=43",
        "pyopenssl>=24.3",
        "service-identity>=24.1",
        # Where it is missing HTTP is slower, and no different.
        "httptools>=0.6.4; platform_python_implementation == 'CPython'",
    ],
    entry_points={"console_scripts": ["hraft = hraft.__main__:main"]},
    extras_require={
        "test": [
            "pytest>=8",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "pytest-cov>=5",
            "hypothesis>=6.100",
            # The alert rules in deploy/ are read by tests.
            "pyyaml>=6",
            # Asks whatever /v1/openapi.json allows. Its rules are checked in Rust, which PyPy has no wheels for.
            "schemathesis>=4.32; platform_python_implementation == 'CPython'",
            # Drives a browser through the dashboard; tests of that are skipped where no Chromium is installed.
            "playwright>=1.48; platform_python_implementation == 'CPython'",
            # The file system that forgets, for tests of power cuts; they are skipped where FUSE itself is not there.
            "mfusepy>=3; sys_platform == 'linux'",
            # A wheel is built and installed by a test, without going to an index.
            "setuptools>=70.1",
            "pip>=22.3",
        ],
        # `python -m fuzz --atheris`; without it, the same targets meet random damage.
        "fuzz": ["atheris>=2.3; sys_platform == 'linux' and python_version < '3.14'"],
        # The documentation as a site, see mkdocs.yml.
        "docs": ["mkdocs>=1.6", "mkdocstrings[python]>=1.0"],
        "dev": [
            *["mypy>=1.13", "mypy-zope>=1.0.9", "ruff>=0.8", "tox>=4.20; python_version >= '3.11'"],
            *["build>=1.2", "twine>=6.1"],
        ],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Framework :: Twisted",
        "Programming Language :: Python :: 3",
        "Topic :: Database",
        "Typing :: Typed",
    ],
)
