"""Fast kernels for steps that are slow where they read well: the scan in C, mamba-ssm's for CUDA tensors.

May import torch and nothing of this library. Each says in words why it is not there, where it is not.
"""
