"""Dask: many runs at once, on this machine's cores or on a cluster's."""

from helpers.dask.connect import ClusterError, connect
from helpers.dask.server import DaskServer
from helpers.dask.sweep import Run, Sweep

__all__ = ["ClusterError", "DaskServer", "Run", "Sweep", "connect"]
