"""The three code folders become one import name: horngate.cli, horngate.models, horngate.pipelines."""

from setuptools import find_packages, setup

FOLDERS = ("cli", "models", "pipelines")

setup(
    package_dir={f"horngate.{folder}": folder for folder in FOLDERS},
    packages=[f"horngate.{name}" for name in find_packages() if name.split(".")[0] in FOLDERS],
    package_data={f"horngate.{folder}": ["py.typed"] for folder in FOLDERS}
    | {"horngate.pipelines.report": ["*.j2", "*.css", "*.js"]}
    | {"horngate.pipelines.data.samples": ["spoken_words.*"]},
)
