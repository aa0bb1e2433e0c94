import pytest

from retrieval.models.timm_import import open_clip_name
from retrieval.spec.errors import CheckpointError


@pytest.mark.parametrize(
    ("timm", "open_clip"),
    [
        ("vit_base_patch16_clip_224.openai", "ViT-B-16/openai"),
        ("vit_base_patch32_clip_224.laion2b", "ViT-B-32/laion2b_s34b_b79k"),
        ("vit_base_patch32_clip_224.datacompxl", "ViT-B-32/datacomp_xl_s13b_b90k"),
        ("vit_large_patch14_clip_224.dfn2b", "ViT-L-14/dfn2b"),
        ("vit_large_patch14_clip_336.openai", "ViT-L-14-336/openai"),
        ("vit_base_patch16_clip_quickgelu_224.metaclip_400m", "ViT-B-16-quickgelu/metaclip_400m"),
        ("fastvit_mci1", "MobileCLIP-S1/datacompdr"),
        ("fastvit_mci2.apple_mclip", "MobileCLIP-S2/datacompdr"),
        ("fastvit_mci2.apple_mclip2_dfndr2b", "MobileCLIP2-S2/dfndr2b"),
        ("vit_base_mci_224.apple_mclip_lt", "MobileCLIP-B/datacompdr_lt"),
        ("vit_base_patch16_siglip_224.webli", "ViT-B-16-SigLIP/webli"),
        ("vit_base_patch16_siglip_224.v2_webli", "ViT-B-16-SigLIP2/webli"),
        ("vit_base_patch16_siglip_256.webli_i18n", "ViT-B-16-SigLIP-i18n-256/webli"),
    ],
)
def test_image_towers_of_dual_encoders_are_found(timm, open_clip):
    assert open_clip_name(timm) == open_clip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mobilenetv4_conv_small", "has no text tower.*leanclip compress"),
        ("resnet50.a1_in1k", "has no text tower.*leanclip compress"),
        ("mobilenetv4_conv_smal", "timm has no model.*close names: mobilenetv4_conv_small"),
        ("vit_base_patch32_clip_224", "several models have .*open_clip:ViT-B-32/openai"),
        (
            "vit_base_patch16_clip_224.openai_ft_in1k",
            "no model of open_clip has exactly .*open_clip:ViT-B-16/openai",
        ),
        ("fastvit_mci0.apple_mclip", "no model of open_clip.*open_clip:MobileCLIP2-S0/dfndr2b"),
    ],
)
def test_others_are_one_line_that_says_what_to_do(name, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        open_clip_name(name)
    assert "\n" not in str(caught.value)
