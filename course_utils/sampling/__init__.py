"""The way back: from noise to a picture, step by step.

`loop` has `sample`, which works with every scheduler here and with diffusers'. Each scheduler is
one file: `ddpm`, `ddim`, `flow`; `base` is what they share, `diffusion` what the first two do.
For few steps there are `heun`, `dpm_solver` and `unipc`, which share `sigmas`. `guidance` lets
`labels` count for more, `edit` begins with a picture, `inversion` finds its noise, and `walk` is
what these and `loop` share. `opening` opens trained networks of anybody's, `pictures` draws with
them from `seeds`, `film` shows how, and `saving` writes all that; `command` does it from the shell.
Taught in chapters 02_schedulers, 05_flowers, 07_guidance and 08_few_steps.
"""

from course_utils.sampling.base import SamplingScheduler, StepOutput
from course_utils.sampling.ddim import DDIMScheduler, quick_scheduler
from course_utils.sampling.ddpm import DDPMScheduler
from course_utils.sampling.dpm_solver import DPMSolverMultistepScheduler
from course_utils.sampling.edit import image_to_image, inpaint
from course_utils.sampling.flow import FlowMatchEulerScheduler
from course_utils.sampling.guidance import Guidance, guided_answer
from course_utils.sampling.heun import HeunDiscreteScheduler
from course_utils.sampling.inversion import invert, slerp
from course_utils.sampling.loop import Samples, sample
from course_utils.sampling.opening import NetworkUnavailableError, Opened, open_network
from course_utils.sampling.pictures import Drawn, draw_pictures, solver
from course_utils.sampling.sigmas import karras_sigmas
from course_utils.sampling.unipc import UniPCMultistepScheduler
from course_utils.sampling.walk import initial_noise

__all__ = [
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "Drawn",
    "FlowMatchEulerScheduler",
    "Guidance",
    "HeunDiscreteScheduler",
    "NetworkUnavailableError",
    "Opened",
    "Samples",
    "SamplingScheduler",
    "StepOutput",
    "UniPCMultistepScheduler",
    "draw_pictures",
    "guided_answer",
    "image_to_image",
    "initial_noise",
    "inpaint",
    "invert",
    "karras_sigmas",
    "open_network",
    "quick_scheduler",
    "sample",
    "slerp",
    "solver",
]
