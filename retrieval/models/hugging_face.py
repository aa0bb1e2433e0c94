"""CLIP and SigLIP models of Hugging Face transformers as dual encoders of ours.

transformers itself is not needed: the files say all.
"""

from pydantic import ValidationError

from retrieval.models.checkpoint import Checkpoint, fingerprint
from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.hugging_face_clip import clip_config, clip_weights
from retrieval.models.hugging_face_files import CONFIG, model_folder, read_settings, read_state
from retrieval.models.hugging_face_siglip import siglip_config, siglip_weights
from retrieval.models.state import state_sha256
from retrieval.spec.errors import CheckpointError

_FAMILIES = {
    "clip": (clip_config, clip_weights),
    "siglip": (siglip_config, siglip_weights),
}


def load_hugging_face(name: str) -> Checkpoint:
    """Load a CLIP, SigLIP or SigLIP 2 model with its preprocessing and tokenizer.

    Args:
        name: A folder that ``save_pretrained`` wrote, or ``ORG/NAME`` on the hub.

    Raises:
        CheckpointError: The model is unknown, cannot be fetched or read, is of another
            architecture, or lacks a file.
        MissingExtraError: Its tokenizer needs a library that is not installed.
    """
    folder = model_folder(name)
    if not (folder / CONFIG).is_file() and (folder / "open_clip_config.json").is_file():
        scheme = "local-dir" if folder.as_posix() == name else "hf-hub"
        raise CheckpointError(f"{name} is in open_clip's form: name it open_clip:{scheme}:{name}")
    settings = read_settings(folder / CONFIG)
    family = settings.get("model_type")
    if family not in _FAMILIES:
        raise CheckpointError(
            f"{name} is of the architecture {family}; only clip and siglip can be imported"
        )
    make_config, make_weights = _FAMILIES[family]
    label = name.rstrip("/").rsplit("/", 1)[-1]
    try:
        config, tokenizer = make_config(label, settings, folder)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CheckpointError(f"{name} cannot be used: {place}: {first['msg']}") from error
    model = DualEncoder(config)
    try:
        model.load_state_dict(make_weights(read_state(folder), config))
    except KeyError as error:
        raise CheckpointError(f"the weights of {name} lack {error.args[0]}") from error
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise CheckpointError(f"the weights of {name} do not fit its {CONFIG}: {reason}") from error
    return Checkpoint(
        model=model.eval(),
        tokenizer=tokenizer,
        fingerprint=fingerprint(config, state_sha256(model)),
        metrics={},
    )
