"""diffusers' solvers as they would be in float64: they cast to float32 on the way."""

import importlib
from contextlib import contextmanager

import numpy as np
import torch


class _Double:
    """A library in whose place float32 is float64."""

    def __init__(self, library):
        self._library = library
        self.float32 = library.float64

    def __getattr__(self, name):
        return getattr(self._library, name)


@contextmanager
def in_double(cls):
    """Within, the module of a scheduler of diffusers takes float64 for float32."""
    module = importlib.import_module(cls.__module__)
    module.torch, module.np = _Double(torch), _Double(np)
    try:
        yield
    finally:
        module.torch, module.np = torch, np
