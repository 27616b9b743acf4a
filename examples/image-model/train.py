"""Train a small classifier of handwritten digits (8 x 8 grey values) and write its weights, without a pickle."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

HERE = Path(__file__).parent


def main() -> None:
    pixels, digits = load_digits(return_X_y=True)
    model = LinearDiscriminantAnalysis().fit(pixels / 16.0, digits)
    np.savez(HERE / "weights.npz", coefficients=model.coef_, intercepts=model.intercept_)


if __name__ == "__main__":
    main()
