"""A plain photo search with PyTorch and open_clip: what ``cold_search.py`` compares with.

It does what a short script for the job does: load the model, encode the sentence, multiply
with embeddings that were computed before, print the ten best paths.

    python plain_search.py WEIGHTS.pt EMBEDDINGS.npy PATHS.txt "two red stars"

With only WEIGHTS.pt it writes that file first: ViT-B-32 with random weights, which load and
run exactly as long as trained ones.
"""

import sys

import numpy as np
import torch

# Where torchvision does not fit this torch, open_clip cannot be imported without it.
import retrieval.models.torchvision_guard  # noqa: F401  isort: skip
import open_clip

MODEL = "ViT-B-32"
TOP = 10


def main(weights: str, embeddings: str, paths: str, sentence: str) -> None:
    """Print score and path of the photos that fit ``sentence`` best."""
    model = open_clip.create_model(MODEL, pretrained=weights)
    model.eval()
    with torch.inference_mode():
        query = model.encode_text(open_clip.get_tokenizer(MODEL)([sentence]), normalize=True)
    scores = np.load(embeddings) @ query[0].numpy()
    with open(paths, encoding="utf-8") as lines:  # noqa: PTH123  (as a plain script has it)
        names = lines.read().splitlines()
    for place in np.argsort(-scores)[:TOP]:
        sys.stdout.write(f"{scores[place]:.4f}\t{names[place]}\n")


def write_random_weights(weights: str) -> None:
    """Save a freshly made model, so that `main` has a file to load."""
    torch.manual_seed(0)
    torch.save(open_clip.create_model(MODEL).state_dict(), weights)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        write_random_weights(sys.argv[1])
    else:
        main(*sys.argv[1:])
