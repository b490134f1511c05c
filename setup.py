"""Which files are the package: nars/, and conf/ as nars/conf. The rest is said in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["nars", "nars.*"]), "nars.conf"],
    package_dir={"nars.conf": "conf"},
    package_data={"nars.conf": ["**/*.yaml"], "nars.reporting.page": ["templates/*"]},
)
