"""The widget: sends image, rows and viewer to the browser once, and hears what is selected there."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import anywidget

from pachon_client.errors import PachonClientError

if TYPE_CHECKING:
    from pachon_client.skyview.viewer import SkyViewer

_FRONT = files("pachon_client.skyview") / "front"


class SkyWidget(anywidget.AnyWidget):
    """Shows one view of the sky.

    Parameters
    ----------
    viewer
        What is shown.
    program
        Aladin Lite as it was published: an ECMAScript module, kept as a file of its own under its own licence.
    """

    _esm = (_FRONT / "sky.js").read_text(encoding="utf-8")
    _css = (_FRONT / "sky.css").read_text(encoding="utf-8")

    def __init__(self, viewer: SkyViewer, program: bytes) -> None:
        super().__init__()
        self._viewer, self._program = viewer, program
        self.on_msg(self._answer)

    def _answer(self, _: Any, message: dict[str, Any], __: list[Any]) -> None:  # noqa: ANN401 -- ipywidgets is untyped
        viewer = self._viewer
        try:
            if message["kind"] == "start":
                told = {
                    "kind": "show",
                    "view": message["view"],
                    "name": viewer.image.name,
                    "address": viewer.image.address,
                }
                self.send(told, [self._program, viewer.positions.tobytes(), viewer.image.fits])
            else:
                viewer.select(message["marks"])
                self.send({"kind": "selected", "count": len(viewer.selection)})
        except PachonClientError as error:
            self.send({"kind": "said", "text": str(error)})
