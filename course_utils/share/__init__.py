"""What leaves the house: a trained model as a folder that explains itself, here or on the Hub.

`card` writes the page that tells what the model is, `folder` saves the model and looks whether it
loads, `portable` turns what only this package has into what others have, `hub` sends the folder,
and `pushing` does from the shell.
`finished` does that with a finished run, and `training` is the command that makes one: of a recipe,
or of pictures of `yours`; `words` understands it. `exhibit` puts a finished run into the gallery of
`course_utils.models`. `looked` writes what is in a folder of pictures, with `advice`, `judged` how
good they are, each as a `page`. `onnx` writes a network for other programs, `web` makes a page of
it that calculates with `runtime`, and `command` does both from the shell. Taught in chapter
04_butterflies.
"""

from course_utils.share.card import model_card
from course_utils.share.finished import save_run
from course_utils.share.folder import HubError, save_model
from course_utils.share.hub import push_to_hub
from course_utils.share.onnx import export
from course_utils.share.web import export_page

__all__ = [
    "HubError",
    "export",
    "export_page",
    "model_card",
    "push_to_hub",
    "save_model",
    "save_run",
]
