"""An image or a HiPS in a notebook, with rows marked on it."""

from pachon_client.skyview.viewer import SkyViewer

__all__ = ["SkyViewer"]
