"""The way back: from noise to a picture, step by step.

`loop` has `sample`, which works with every scheduler here and with diffusers'. Each scheduler is
one file: `ddpm`, `ddim`, `flow`; `base` is what they share, `diffusion` what the first two do.
For few steps there are `heun`, `dpm_solver` and `unipc`, which share `sigmas`. `guidance` lets
labels count for more, `command` draws from the shell. Taught in chapters 02_schedulers and
05_flowers.
"""

from course_utils.sampling.base import SamplingScheduler, StepOutput
from course_utils.sampling.ddim import DDIMScheduler, quick_scheduler
from course_utils.sampling.ddpm import DDPMScheduler
from course_utils.sampling.dpm_solver import DPMSolverMultistepScheduler
from course_utils.sampling.flow import FlowMatchEulerScheduler
from course_utils.sampling.guidance import guided_answer
from course_utils.sampling.heun import HeunDiscreteScheduler
from course_utils.sampling.loop import Samples, initial_noise, sample
from course_utils.sampling.sigmas import karras_sigmas
from course_utils.sampling.unipc import UniPCMultistepScheduler

__all__ = [
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "FlowMatchEulerScheduler",
    "HeunDiscreteScheduler",
    "Samples",
    "SamplingScheduler",
    "StepOutput",
    "UniPCMultistepScheduler",
    "guided_answer",
    "initial_noise",
    "karras_sigmas",
    "quick_scheduler",
    "sample",
]
