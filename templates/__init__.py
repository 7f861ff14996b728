"""Kernels as data: ops, templates, their spaces, limits and models. Pure: no device, no database."""
