"""What holds for every test, and for the kernels that the notebooks' tests start."""

import os
import tempfile

# Small networks gain little from a second thread, and lose much when the cores are busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["COURSE_BUDGET"] = "smoke"
os.environ["TQDM_DISABLE"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
# In a notebook, as in the unit tests, a deprecated call of our own is an error.
os.environ["PYTHONWARNINGS"] = "error::DeprecationWarning:__main__,error::FutureWarning:__main__"

# Trained networks are kept apart from the reader's own, and thrown away at the end.
_cache = tempfile.TemporaryDirectory(prefix="course-cache-")
os.environ["COURSE_CACHE"] = _cache.name
