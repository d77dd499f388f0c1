"""ME-TST and ME-TST+: micro-expression spotting and recognition in long videos, a library for notebooks."""

__version__ = "0.1.0"
