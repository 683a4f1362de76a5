"""Smooth activations with three derivatives each, and why others are refused."""

from .functions import NAMES, Activation, get, softplus

__all__ = ["NAMES", "Activation", "get", "softplus"]
