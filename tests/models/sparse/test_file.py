import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from retrieval.evaluate.size import measure_size
from retrieval.models.checkpoint import load_checkpoint, save_checkpoint, stored_fingerprint
from retrieval.models.sparse.file import METADATA, pack_weights, read_weights, round_as_stored
from retrieval.models.sparse.storage import Storage
from retrieval.spec.errors import CheckpointError
from tests.tiny import tiny_model, tiny_tokenizer

SPARSE = [
    Storage(values=values, layout=layout)
    for values in ("fp32", "fp16", "int8")
    for layout in ("bitmap", "csr", "smallest")
]
ALL = [*SPARSE, Storage(), Storage(values="fp16"), Storage(values="int8")]


def sparse_tensor(*shape: int, density: float, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    tensor = torch.randn(shape, generator=generator)
    return tensor * (torch.rand(shape, generator=generator) < density)


def written(path: Path, weights: dict[str, Tensor], storage: Storage) -> Path:
    path.write_bytes(pack_weights(weights, storage))
    return path


def metadata_of(path: Path) -> dict[str, Any]:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()[METADATA])


def grid_of(tensor: Tensor) -> Tensor:
    """What eight bits with a scale of 16 significant bits for each row leave, one by one."""
    rows = []
    for row in tensor.reshape(tensor.shape[0], -1):
        mantissa, exponent = np.frexp(np.float64(row.abs().max() / np.float32(127)))
        scale = np.ldexp(np.floor(mantissa * 2**16) / 2**16, exponent)
        codes = np.round(row.numpy().astype(np.float32) / np.float32(scale or 1))
        rows.append(torch.from_numpy(codes.astype(np.float64) * scale).float())
    return torch.stack(rows).reshape(tensor.shape)


def expected(tensor: Tensor, values: str, layout: str) -> Tensor:
    if values == "fp16":
        return tensor.half()
    return grid_of(tensor) if values == "int8" and layout != "plain" and tensor.ndim > 1 else tensor


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.lists(st.integers(1, 12), min_size=1, max_size=4),
    density=st.sampled_from([0.0, 0.03, 0.3, 1.0]),
    storage=st.sampled_from(ALL),
    seed=st.integers(0, 2**31),
)
def test_any_tensor_is_read_back_exactly(
    tmp_path: Path, shape: list[int], density: float, storage: Storage, seed: int
) -> None:
    tensor = sparse_tensor(*shape, density=density, seed=seed)
    path = written(tmp_path / "w.safetensors", {"w": tensor}, storage)
    layout = "plain" if storage.is_plain else metadata_of(path)["tensors"]["w"]["layout"]
    wanted, found = expected(tensor, storage.values, layout), read_weights(path)["w"]
    assert found.dtype == wanted.dtype and torch.equal(found, wanted)
    if layout in ("bitmap", "csr"):
        assert not found[found == 0].signbit().any()
    module = nn.Module()
    module.register_buffer("w", tensor)
    round_as_stored(module, storage)
    assert torch.equal(module.w, wanted.float())


@pytest.mark.parametrize("storage", SPARSE, ids=str)
def test_parts_have_the_bytes_of_the_formula(tmp_path: Path, storage: Storage) -> None:
    tensor = torch.zeros(64, 8, 4, 4)
    tensor.view(-1)[::16] = 1.5
    stored = load_file(written(tmp_path / "w.safetensors", {"w": tensor}, storage))
    value = {"fp32": 4, "fp16": 2, "int8": 1}[storage.values]
    # 512 of 8,192; columns are the 128 of all dimensions but the first.
    sizes = {"bitmap": 1024 + 512 * value, "csr": 512 * (value + 2) + 65 * 4}
    sizes["smallest"] = min(sizes.values())
    scales = 64 * 4 if storage.values == "int8" else 0
    assert sum(t.nbytes for t in stored.values()) == sizes[storage.layout] + scales
    layout = {"smallest": "bitmap"}.get(storage.layout, storage.layout)
    names = {"bitmap": {"w.bitmap"}, "csr": {"w.row_start", "w.columns"}}[layout] | {"w.values"}
    assert stored.keys() == names | ({"w.scale"} if scales else set())


def test_what_would_not_become_smaller_stays_plain(tmp_path: Path) -> None:
    weights = {
        "full": sparse_tensor(64, 64, density=1),
        "small": torch.zeros(4, 4),
        "empty": torch.zeros(0, 4),
        "counter": torch.zeros(999, dtype=torch.int64),
        "sparse": sparse_tensor(64, 64, density=0.1),
    }
    path = written(tmp_path / "w.safetensors", weights, Storage(layout="csr"))
    layouts = {name: one["layout"] for name, one in metadata_of(path)["tensors"].items()}
    assert layouts == dict.fromkeys(weights, "plain") | {"sparse": "csr"}
    for name, tensor in read_weights(path).items():
        assert tensor.dtype == weights[name].dtype and torch.equal(tensor, weights[name]), name


def test_plain_files_are_what_safetensors_writes() -> None:
    weights = tiny_model().state_dict()
    assert pack_weights(weights, Storage()) == save(weights)
    halves = {name: t.half() if t.is_floating_point() else t for name, t in weights.items()}
    assert pack_weights(weights, Storage(values="fp16")) == save(halves)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_refused(value: float) -> None:
    weights = {"w": torch.tensor([value, 1.0])}
    for storage in ALL:
        if storage != Storage():
            with pytest.raises(CheckpointError, match="cannot store w as .* not finite"):
                pack_weights(weights, storage)
    with pytest.raises(CheckpointError, match="cannot store w as fp16"):
        pack_weights({"w": torch.tensor([1e6])}, Storage(values="fp16"))


@pytest.fixture
def pruned() -> nn.Module:
    model = tiny_model(image={"kind": "timm", "backbones": [{"name": "resnet10t"}]})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight *= torch.rand(weight.shape, generator=generator) < 0.1
    return model


@pytest.mark.parametrize("storage", SPARSE, ids=str)
def test_a_pruned_checkpoint_loads_again_and_is_measured(
    tmp_path: Path, pruned: nn.Module, storage: Storage
) -> None:
    save_checkpoint(tmp_path / "model", pruned, tiny_tokenizer(), storage=storage)
    first = stored_fingerprint(tmp_path / "model")
    loaded = load_checkpoint(tmp_path / "model").model
    size = measure_size(tmp_path / "model")
    save_checkpoint(tmp_path / "dense", loaded, tiny_tokenizer())
    dense = measure_size(tmp_path / "dense")
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    counted = [t for name, t in loaded.state_dict().items() if not name.endswith(statistics)]
    assert (size.parameters, dense.nonzeros) == (dense.parameters, None)
    assert size.nonzeros == sum(int(tensor.count_nonzero()) for tensor in counted)
    assert size.nonzeros < 0.11 * dense.parameters
    assert size.bytes < 0.25 * dense.bytes
    round_as_stored(pruned, storage)
    for name, tensor in pruned.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name
    # What was loaded is stored as the same file: nothing is rounded twice.
    save_checkpoint(tmp_path / "model", loaded, tiny_tokenizer(), storage=storage)
    assert stored_fingerprint(tmp_path / "model") == first


def test_a_type_alone_is_dense() -> None:
    assert Storage.model_validate("fp16") == Storage(values="fp16", layout="dense")
    with pytest.raises(ValueError, match="values"):
        Storage.model_validate("fp8")


def refused(path: Path, stored: dict[str, Tensor], metadata: Any) -> str:
    save_file(stored, path, {METADATA: json.dumps(metadata)})
    with pytest.raises(CheckpointError) as caught:
        read_weights(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_damaged_file_says_what_is_wrong(tmp_path: Path) -> None:
    weights = {"a.w": sparse_tensor(32, 32, density=0.1), "b": torch.ones(2)}
    path = written(tmp_path / "w.safetensors", weights, Storage(values="int8", layout="bitmap"))
    stored, metadata = load_file(path), metadata_of(path)
    count = metadata["tensors"]["a.w"]["nonzeros"]

    def entry(**update: Any) -> dict[str, Any]:
        changed = metadata["tensors"]["a.w"] | update
        return metadata | {"tensors": metadata["tensors"] | {"a.w": changed}}

    def without(name: str) -> dict[str, Tensor]:
        return {key: tensor for key, tensor in stored.items() if key != name}

    damaged = f"{path} is damaged: "
    cases = [
        (without("a.w.bitmap"), metadata, "a.w: it has no bitmap"),
        (without("a.w.scale"), metadata, "a.w: it has no scale"),
        (without("b"), metadata, "b is missing"),
        (stored | {"b": torch.ones(3)}, metadata, "not of shape (2,)"),
        (stored | {"x": torch.ones(3)}, metadata, "it has an unknown x"),
        (stored | {"a.w.columns": torch.ones(3)}, metadata, "a.w: it has an unneeded columns"),
        (stored | {"a.w.scale": torch.ones(31)}, metadata, "31 scales for 32 rows"),
        (stored | {"a.w.scale": torch.full((32,), torch.nan)}, metadata, "not finite"),
        (stored, entry(nonzeros=count + 1), f"{count} values that are not zero, not {count + 1}"),
        (stored, entry(shape=[32, 64]), "its bitmap has 128 bytes, not 256"),
        (stored, entry(layout="csr"), "it has no columns"),
        (stored, entry(layout="dense"), f"it has {count} values, not 1024"),
        (stored, entry(layout="zip"), "metadata: "),
        (stored, [], "metadata: "),
    ]
    for tensors, described, problem in cases:
        message = refused(path, tensors, described)
        assert message.startswith(damaged) and problem in message, message
    assert "format 2 and needs a newer leanclip" in refused(path, stored, metadata | {"version": 2})


def test_an_impossible_shape_is_refused(tmp_path: Path) -> None:
    weights = {"w": sparse_tensor(32, 32, density=0.1)}
    path = written(tmp_path / "w.safetensors", weights, Storage(layout="csr"))
    stored, metadata = load_file(path), metadata_of(path)
    for columns in (2**60, 2**80):
        metadata["tensors"]["w"]["shape"] = [32, columns]
        assert "impossible" in refused(path, stored, metadata)
