from typing import Any

import pytest
import torch
from torch import nn

from retrieval.models.dual_encoder import DualEncoder
from retrieval.models.normalise import PixelNormaliser
from retrieval.models.timm_tower import TimmImageTower
from retrieval.models.transformer import set_fused_attention
from retrieval.spec.errors import CheckpointError
from retrieval.spec.preprocessing import Preprocessing
from tests.tiny import CONTEXT, DIM, SIZE, TEXT, VIT, tiny_model, tiny_tokenizer

SENTENCES = ["a dog", "two red stars above a blue fish", "", "dog " * 30]


def timm(*names: str, **more: Any) -> dict[str, Any]:
    return {"kind": "timm", "backbones": [{"name": name} for name in names], **more}


def ids() -> torch.Tensor:
    return torch.from_numpy(tiny_tokenizer().batch(SENTENCES))


def awake(model: DualEncoder) -> DualEncoder:
    """Give every projection weight, so that no part of a tower is silent."""
    torch.manual_seed(1)
    for parameter in model.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("bag", [False, True])
@torch.no_grad()
def test_padding_that_is_cut_off_changes_nothing(bag: bool) -> None:
    model = awake(tiny_model(text={**TEXT, "bag_of_tokens": bag}))
    whole = model.encode_text(ids())
    for row, sentence in enumerate(ids()):
        length = int((sentence != 0).sum())
        short = model.encode_text(sentence[None, :length])
        torch.testing.assert_close(short, whole[row : row + 1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("bag", [False, True])
@torch.no_grad()
def test_the_first_end_token_counts(bag: bool) -> None:
    model = awake(tiny_model(text={**TEXT, "bag_of_tokens": bag}))
    sentence = ids()[:1].clone()
    end = int((sentence[0] == model.config.tokens.end_id).nonzero()[0])
    again = sentence.clone()
    again[0, end + 1] = 5
    again[0, end + 2] = model.config.tokens.end_id
    torch.testing.assert_close(model.encode_text(again), model.encode_text(sentence))
    again[0, end - 1] = 7
    assert (model.encode_text(again) - model.encode_text(sentence)).abs().max() > 1e-3


@torch.no_grad()
def test_a_causal_tower_does_not_see_what_comes_later_and_another_does() -> None:
    for causal in (True, False):
        model = awake(tiny_model(text={**TEXT, "causal": causal}))
        padded, changed = ids()[:1], ids()[:1].clone()
        changed[0, -1] = 9
        same = torch.allclose(model.encode_text(padded), model.encode_text(changed), atol=1e-6)
        assert same == causal


@pytest.mark.parametrize("causal", [True, False])
@torch.no_grad()
def test_fused_and_explicit_attention_are_equal(causal: bool) -> None:
    model = awake(tiny_model(text={**TEXT, "causal": causal}))
    pixels = torch.randn(3, 3, SIZE, SIZE)
    fused = model.encode_text(ids()), model.encode_image(pixels)
    set_fused_attention(model, False)
    explicit = model.encode_text(ids()), model.encode_image(pixels)
    for one, other in zip(fused, explicit, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_heads_and_neurons_may_differ_between_layers() -> None:
    blocks = {"width": 32, "head_dim": 16, "heads": [1, 3], "neurons": [24, 64]}
    model = tiny_model(image={**VIT, "blocks": blocks}, text={"blocks": blocks})
    assert model.encode_text(ids()).shape == (len(SENTENCES), DIM)
    assert model.encode_image(torch.randn(2, 3, SIZE, SIZE)).shape == (2, DIM)
    assert model.text.blocks[1].attention.query.weight.shape == (48, 32)


@pytest.mark.parametrize(
    "image",
    [
        VIT,
        timm("mobilenetv4_conv_small_035"),
        timm("resnet10t", "mobilenetv3_small_050", standardise=True),
        timm("mobilenetv4_conv_small_035", power_normalise=True),
        {
            "kind": "timm",
            "backbones": [{"name": "vit_tiny_patch16_224", "options": {"img_size": 64}}],
        },
    ],
    ids=["vit", "mobilenet", "joined", "rooted", "timm vit"],
)  # fmt: skip
def test_every_image_tower_gives_embeddings_of_length_one_and_learns(image: dict[str, Any]) -> None:
    model = tiny_model(image=image, size=64)
    found = model.encode_image(torch.randn(2, 3, 64, 64))
    assert found.shape == (2, DIM)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2))
    found[:, 0].sum().backward()
    assert all(p.grad is not None for p in model.image.parameters() if p.requires_grad)


@torch.no_grad()
def test_joined_backbones_stand_side_by_side_and_are_standardised() -> None:
    model = tiny_model(image=timm("resnet10t", "mobilenetv3_small_050", standardise=True), size=64)
    tower = model.image
    assert isinstance(tower, TimmImageTower)
    pixels = torch.randn(2, 3, 64, 64)
    parts = [backbone(pixels) for backbone in tower.backbones]
    tower.feature_mean.fill_(0.5)
    tower.feature_scale.fill_(3)
    expected = (torch.cat(parts, dim=1) - 0.5) * 3
    torch.testing.assert_close(tower.features(pixels), expected)
    torch.testing.assert_close(tower(pixels), tower.projection(expected))


@torch.no_grad()
def test_power_normalisation_takes_the_signed_root_before_standardising() -> None:
    image = timm("mobilenetv3_small_050", power_normalise=True, standardise=True)
    tower = tiny_model(image=image, size=64).image
    assert isinstance(tower, TimmImageTower)
    tower.backbones[0] = nn.Flatten()
    tower.feature_mean = torch.full((4,), 0.5)
    tower.feature_scale = torch.full((4,), 3.0)
    found = tower.features(torch.tensor([[[[-4.0, 0.0, 1.0, 9.0]]]]))
    rooted = torch.tensor([[-2.0, 0.0, 1.0, 3.0]])
    torch.testing.assert_close(found, (rooted - 0.5) * 3, atol=0.02, rtol=0.01)


def test_a_feature_of_nought_still_learns_through_its_root() -> None:
    tower = tiny_model(image=timm("mobilenetv3_small_050", power_normalise=True), size=64).image
    assert isinstance(tower, TimmImageTower)
    tower.backbones[0] = nn.Flatten()
    features = torch.zeros(1, 1, 1, 4, requires_grad=True)
    tower.features(features).sum().backward()
    assert features.grad is not None
    assert features.grad.isfinite().all()
    assert (features.grad > 0).all()


def test_an_unknown_timm_model_is_one_line_with_close_names() -> None:
    with pytest.raises(CheckpointError, match="no model 'mobilenetv4_conv_smal'") as caught:
        tiny_model(image=timm("mobilenetv4_conv_smal"))
    assert "mobilenetv4_conv_small" in str(caught.value).partition("close names")[2]
    assert "\n" not in str(caught.value)


def test_options_that_a_timm_model_does_not_take_are_one_line() -> None:
    image = {"kind": "timm", "backbones": [{"name": "resnet10t", "options": {"no_such": 1}}]}
    with pytest.raises(CheckpointError, match="cannot make resnet10t with options") as caught:
        tiny_model(image=image)
    assert "\n" not in str(caught.value)


def test_a_size_that_patches_do_not_divide_is_refused() -> None:
    with pytest.raises(CheckpointError, match="input size 40 is not a multiple of the patch size"):
        tiny_model(size=40)


def test_pixels_are_scaled_then_normalised() -> None:
    spec = Preprocessing(
        size=8, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 1.0), value_range=(-1.0, 1.0)
    )
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    scaled = pixels.float() / 255 * 2 - 1
    expected = (scaled - torch.tensor(spec.mean).view(1, 3, 1, 1)) / torch.tensor(spec.std).view(
        1, 3, 1, 1
    )
    for given in (pixels, pixels.float()):
        torch.testing.assert_close(PixelNormaliser(spec)(given), expected, atol=1e-5, rtol=1e-5)


def test_the_context_is_what_the_tokens_say() -> None:
    assert tiny_model().text.position_embedding.shape == (CONTEXT, 32)
