"""Can anybody tell them apart? A classifier learns to, and is tested on pictures it never saw."""

from typing import NamedTuple

import numpy as np

from course_utils.metrics.features import Features, as_features


class TwoSample(NamedTuple):
    """What a two-sample test found.

    Attributes:
        accuracy: The share of unseen pictures that were told rightly; one half where drawn and
            real cannot be told apart.
        p_value: How often guessing would do as well or better, in [0, 1].
    """

    accuracy: float
    p_value: float


def two_sample_test(drawn: Features, real: Features, seed: int = 0) -> TwoSample:
    """Teach a classifier to tell drawn from real, and count how often it is right.

    Half of the pictures, as many of each set, teach it; the others test it.

    Args:
        drawn: Features of drawn pictures, shape (N, D), N >= 4.
        real: Features of real ones, shape (M, D), M >= 4.
        seed: Decides which pictures teach and which test.

    Returns:
        Its accuracy on the test half, and the p-value of guessing.

    Raises:
        ValueError: There are too few pictures, or the features do not fit each other.

    Source:
        Lopez-Paz and Oquab 2017, arXiv 1610.06545, section 3; the classifier is scikit-learn's
        support vector machine with a Gaussian kernel, the test scipy's ``binomtest``.

    Chapter: 6, "Can we break the measures?".

    Example:
        >>> import torch
        >>> from course_utils.metrics import two_sample_test
        >>> a, b = torch.randn(2, 100, 4, generator=torch.Generator().manual_seed(0))
        >>> accuracy, p_value = two_sample_test(a, b + 5)
        >>> accuracy > 0.95, p_value < 1e-6
        (True, True)
    """
    from scipy.stats import binomtest
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    sets = [x.numpy() for x in as_features(drawn=drawn, real=real)]
    count = min(map(len, sets))
    if count < 4:
        raise ValueError(f"The smaller set holds {count} pictures; to teach and test, give 4.")
    chance = np.random.default_rng(seed)
    rows = np.concatenate([x[chance.permutation(len(x))[:count]] for x in sets])
    truth = np.repeat([0, 1], count)
    teach, test, known, asked = train_test_split(
        rows, truth, test_size=0.5, stratify=truth, random_state=seed
    )
    classifier = make_pipeline(StandardScaler(), SVC(C=10.0)).fit(teach, known)
    right = int((classifier.predict(test) == asked).sum())
    p_value = binomtest(right, len(asked), 0.5, alternative="greater").pvalue
    return TwoSample(right / len(asked), float(p_value))
