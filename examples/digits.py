"""
Softmax regression from uint8 pixels
====================================

Ten classes from pixels that stay the bytes they are, beside scikit-learn. Without arguments: the 8 x 8 digits
that scikit-learn carries. With ``--data FOLDER``: MNIST, from the four idx files (gzipped) in it, 60 000 images
for training.

::

    python examples/digits.py --out digits.png
    python examples/digits.py --data mnist
"""

import argparse
import gzip
import pathlib
import time
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from gdfast import GDClassifier

parser = argparse.ArgumentParser(description="Softmax regression from uint8 pixels")
parser.add_argument("--data", metavar="FOLDER", help="folder of MNIST's idx files; by default the bundled digits")
parser.add_argument("--out", metavar="PNG", default="digits.png", help="where to write the picture")
options = parser.parse_args()
warnings.simplefilter("ignore")  # MNIST is stopped early, and both models say so

# %%
# The rows
# --------


def idx(name, header):
    """Bytes of a gzipped idx file after its header."""
    with gzip.open(pathlib.Path(options.data) / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


if options.data:
    train, test = (idx(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 784) for part in ("train", "t10k"))
    train_labels, test_labels = (idx(f"{part}-labels-idx1-ubyte.gz", 8) for part in ("train", "t10k"))
    brightest, steps = 255, 15
else:
    pixels, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(
        pixels.astype(np.uint8), labels, random_state=0, stratify=labels
    )
    brightest, steps = 16, 1000
side = int(train.shape[1] ** 0.5)
print(f"{len(train):,} images of {side} x {side} pixels, {train.nbytes / 1e6:.1f} MB as {train.dtype}")

# %%
# Beside scikit-learn
# -------------------
# LogisticRegression gets pixels from 0 to 1, which suits its solver. Weights of bytes are so many times
# smaller, and the same penalty on them is the square of that stronger. At most 15 steps on MNIST, to keep this
# short.

alpha = 1e-3
models = {
    "GDClassifier, uint8": (GDClassifier(alpha=alpha * brightest**2, max_iter=steps), 1),
    "LogisticRegression": (LogisticRegression(C=1 / (alpha * len(train)), max_iter=steps), np.float32(brightest)),
}
print(f"{'':22} {'accuracy':>9} {'log loss':>9} {'time':>9}")
for name, (model, divisor) in models.items():
    start = time.perf_counter()
    model.fit(train if divisor == 1 else train / divisor, train_labels)
    took = time.perf_counter() - start
    p = model.predict_proba(test if divisor == 1 else test / divisor).astype(np.float64)
    p /= p.sum(axis=1, keepdims=True)
    print(f"{name:22} {np.mean(p.argmax(axis=1) == test_labels):9.4f} {log_loss(test_labels, p):9.4f} {took:7.2f} s")

# %%
# What the neurons look for
# -------------------------
# Each class has a weight for each pixel: ink there speaks for it or against it. Below, images that were taken
# for something else.

model = models["GDClassifier, uint8"][0]
answers = model.predict(test)
wrong = np.flatnonzero(answers != test_labels)[:10]

figure, axes = plt.subplots(2, 10, figsize=(11, 3.4), layout="constrained")
shown = model.coef_.reshape(10, side, side)
limit = np.quantile(np.abs(shown), 0.995)
for digit, (above, below) in enumerate(axes.T):
    image = above.imshow(shown[digit], cmap="PuOr", vmin=-limit, vmax=limit)
    above.set_title(f"weights of {digit}", fontsize=9)
    if digit < len(wrong):
        below.imshow(test[wrong[digit]].reshape(side, side), cmap="gray_r")
        below.set_title(f"{test_labels[wrong[digit]]}, taken for {answers[wrong[digit]]}", fontsize=9)
for ax in axes.ravel():
    ax.set_axis_off()
bar = figure.colorbar(image, ax=axes[0], shrink=0.9, ticks=[-limit, 0, limit])
bar.set_ticklabels(["against", "0", "for"])
right = np.mean(answers == test_labels)
figure.suptitle(f"Softmax from {train.dtype} pixels: {right:.1%} of {len(test):,} images right")
figure.savefig(options.out, dpi=150)
