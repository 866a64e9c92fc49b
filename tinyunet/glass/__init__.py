"""Glass-box tools: what the library does, made visible. They import the core; the core never imports them."""

from .attribution.deletion import delete_pixels
from .attribution.figures import show_deletion, show_maps, show_weights_check
from .attribution.occlusion import occlusion
from .attribution.saliency import saliency
from .attribution.sanity import randomise_weights
from .attribution.seg_grad_cam import seg_grad_cam
from .cost import cost_of
from .explain.explanation import Explanation, explain
from .graph.drawing import Drawing, draw_graph
from .profile import Profile, profile
from .provenance.answer import Provenance, provenance
from .trace import Trace, trace

__all__ = [
    "Drawing",
    "Explanation",
    "Profile",
    "Provenance",
    "Trace",
    "cost_of",
    "delete_pixels",
    "draw_graph",
    "explain",
    "occlusion",
    "profile",
    "provenance",
    "randomise_weights",
    "saliency",
    "seg_grad_cam",
    "show_deletion",
    "show_maps",
    "show_weights_check",
    "trace",
]
