"""What leaves the house: a trained model as a folder that explains itself, here or on the Hub.

`card` writes the folder and the page that tells what the model is, `hub` sends it. Taught in
chapter 04_butterflies.
"""

from course_utils.share.card import model_card, save_model
from course_utils.share.hub import HubError, push_to_hub

__all__ = ["HubError", "model_card", "push_to_hub", "save_model"]
