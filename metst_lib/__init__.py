"""ME-TST and ME-TST+: micro-expression spotting and recognition in long videos, as a library that notebooks import."""

__version__ = "0.1.0"
