"""Packaging; everything that varies is read from settings.ini."""

from configparser import ConfigParser
from pathlib import Path

from setuptools import find_namespace_packages, setup

here = Path(__file__).parent
parser = ConfigParser(delimiters=["="])
parser.read(here / "settings.ini", encoding="utf-8")
settings = parser["DEFAULT"]
extras = {key.removesuffix("_requirements"): settings[key].split() for key in settings if key.endswith("_requirements")}

setup(
    name=settings["lib_name"],
    version=settings["version"],
    description=settings["description"],
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    keywords=settings["keywords"],
    author=settings["author"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    package_data={"": ["*.json", "*.csv", "*.safetensors"]},  # of the small trained runs for the explorer
    package_dir={"": "."},  # so that an editable install is a path, and says nothing
    packages=find_namespace_packages(include=["collab_seg", "collab_seg.*"]),
    python_requires=f">={settings['min_python']}",
    install_requires=settings["requirements"].split(),
    extras_require=extras,
    entry_points={"console_scripts": settings["console_scripts"].split()},
    classifiers=["Programming Language :: Python :: 3", "Intended Audience :: Science/Research"],
)
