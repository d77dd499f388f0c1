"""What pyproject.toml cannot say: the C scan, built where a C compiler is found and left out where not."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "metst_lib.kernels._scan",  # no Python module: kernels/scan.py loads the file by ctypes
            ["metst_lib/kernels/scan.c"],
            extra_compile_args=["-O3", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd"],
            optional=True,  # a failed build leaves the readable scan
        )
    ]
)
