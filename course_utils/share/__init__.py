"""What leaves the house: a trained model as a folder that explains itself, here or on the Hub.

`card` writes the page that tells what the model is, `folder` saves the model and looks whether it
loads, `portable` turns what only this package has into what others have, `hub` sends the folder.
`exhibit` puts a finished run into the gallery of `course_utils.models`. Taught in
chapter 04_butterflies.
"""

from course_utils.share.card import model_card
from course_utils.share.folder import HubError, save_model
from course_utils.share.hub import push_to_hub

__all__ = ["HubError", "model_card", "push_to_hub", "save_model"]
