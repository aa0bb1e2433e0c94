"""What names a model's weights when no file does."""

import hashlib

from torch import nn


def state_sha256(model: nn.Module) -> str:
    """Hexadecimal SHA-256 of every weight and its name."""
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(key.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
