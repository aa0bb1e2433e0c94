from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from retrieval.compress.loop.optimiser import make_optimiser, set_learning_rate
from retrieval.compress.loop.settings import Training
from retrieval.compress.teaching.bridge import Bridge
from retrieval.compress.teaching.reflections import Reflections
from retrieval.spec.errors import RecipeError, TrainingError


def matrix(bridge: Bridge) -> torch.Tensor:
    assert bridge.map is not None
    return bridge.map.weight.detach()


def test_columns_stay_orthonormal_and_cosines_the_same_while_it_learns() -> None:
    torch.manual_seed(0)
    bridge = Bridge(8, 24)
    source, goal = torch.randn(64, 8), torch.randn(64, 24)
    before = matrix(bridge).clone()
    settings = Training(learning_rate=0.05, weight_decay=0.5)
    optimiser = make_optimiser(bridge, settings)
    for step in range(30):
        set_learning_rate(optimiser, settings, step, 30)
        optimiser.zero_grad()
        loss = (bridge(source) - goal).square().mean()
        loss.backward()
        optimiser.step()
    after = matrix(bridge)
    assert (after - before).abs().max() > 0.1
    torch.testing.assert_close(after.T @ after, torch.eye(8), atol=1e-5, rtol=0)
    crossed = bridge(source)
    torch.testing.assert_close(crossed @ crossed.T, source @ source.T, atol=1e-4, rtol=1e-4)


def test_it_learns_the_subspace_that_fits_best() -> None:
    torch.manual_seed(0)
    directions = torch.linalg.qr(torch.randn(24, 8))[0]
    source = F.normalize(torch.randn(256, 8), dim=1)
    bridge = Bridge(8, 24)
    optimiser = torch.optim.Adam(bridge.parameters(), lr=0.02)
    for _ in range(300):
        optimiser.zero_grad()
        loss = (bridge(source) - source @ directions.T).square().sum(dim=1).mean()
        loss.backward()
        optimiser.step()
    assert loss < 0.01


def test_it_starts_at_the_principal_directions() -> None:
    torch.manual_seed(0)
    strength = torch.linspace(3, 0.1, 24)
    basis = torch.linalg.qr(torch.randn(24, 24))[0]
    teacher = (torch.randn(4000, 24) * strength) @ basis.T
    bridge = Bridge(8, 24)
    bridge.start_from_principal_directions(teacher.half())
    main = torch.linalg.eigh(teacher.half().float().T @ teacher.half().float())[1][:, -8:].flip(1)
    torch.testing.assert_close(matrix(bridge), main, atol=1e-4, rtol=0)
    torch.testing.assert_close(matrix(bridge).T @ matrix(bridge), torch.eye(8), atol=1e-5, rtol=0)


def test_both_sides_count_the_same_however_many_rows_they_have() -> None:
    few, many = torch.zeros(10, 4), torch.zeros(1000, 4)
    few[:, 0], many[:, 1] = 1.0, 0.9
    bridge = Bridge(1, 4)
    bridge.start_from_principal_directions(few, many)
    torch.testing.assert_close(matrix(bridge).abs()[:, 0], torch.tensor([1.0, 0, 0, 0]))


def test_saved_and_loaded_it_is_the_same_and_frozen(tmp_path: Path) -> None:
    torch.manual_seed(0)
    bridge, loaded = Bridge(8, 24), Bridge(8, 24)
    bridge.save(tmp_path / "bridge.safetensors")
    loaded.load(tmp_path / "bridge.safetensors")
    torch.testing.assert_close(matrix(loaded), matrix(bridge), atol=1e-5, rtol=0)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert (tmp_path / "bridge.safetensors").stat().st_mode & 0o444 == 0o444


def test_of_equal_dimensions_it_is_the_identity(tmp_path: Path) -> None:
    bridge = Bridge(8, 8)
    vectors = torch.randn(3, 8)
    bridge.start_from_principal_directions(vectors)
    bridge.save(tmp_path / "bridge.safetensors")
    bridge.load(tmp_path / "bridge.safetensors")
    assert torch.equal(bridge(vectors), vectors)
    assert not list(bridge.parameters())


def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="embedding_dim 32 exceeds the teacher's 24"):
        Bridge(32, 24)
    Bridge(8, 16).save(tmp_path / "bridge.safetensors")
    with pytest.raises(TrainingError, match=r"it is \(16, 8\), not \(24, 8\); delete"):
        Bridge(8, 24).load(tmp_path / "bridge.safetensors")
    (tmp_path / "bridge.safetensors").write_bytes(b"no")
    for path in (tmp_path / "bridge.safetensors", tmp_path / "none"):
        with pytest.raises(TrainingError, match="cannot read.*start the run again"):
            Bridge(8, 24).load(path)


def test_mixed_precision_does_not_bend_it() -> None:
    torch.manual_seed(0)
    bridge = Bridge(8, 24)
    vectors = F.normalize(torch.randn(16, 8), dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        crossed = bridge(vectors.bfloat16())
    assert crossed.dtype == torch.float32
    torch.testing.assert_close(crossed.norm(dim=1), vectors.bfloat16().float().norm(dim=1))


def test_reflections_are_those_of_torch_one_by_one() -> None:
    torch.manual_seed(0)
    free = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(12, 5, dtype=torch.float64)
    below = free.tril(-1)
    tau = 2 / (1 + below.square().sum(dim=0))
    # torch's reflections flip every column of the identity; ours start at the identity.
    expected = -torch.linalg.householder_product(below, tau)
    (wanted,) = torch.autograd.grad((expected * weights).sum(), free)
    found = Reflections(12).double()(free)
    (gradient,) = torch.autograd.grad((found * weights).sum(), free)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, wanted)


def test_an_assigned_matrix_is_kept_and_learned_from() -> None:
    torch.manual_seed(1)
    goal = torch.linalg.qr(torch.randn(12, 5))[0]
    reflections = Reflections(12)
    free = reflections.right_inverse(goal)
    torch.testing.assert_close(reflections(free), goal)
    torch.testing.assert_close(reflections.base.T @ reflections.base, torch.eye(12))
    moved = reflections(free + torch.randn(12, 5))
    assert (moved - goal).abs().max() > 0.1
    torch.testing.assert_close(moved.T @ moved, torch.eye(5), atol=1e-5, rtol=0)
