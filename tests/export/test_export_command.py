import pytest

from retrieval.spec.bundle import read_bundle


def test_export_prints_a_table(leanclip, checkpoint, tmp_path):
    options = ("--text-precision", "int8", "--licence", "CC0-1.0", "--data", "a", "--data", "b")
    status, out, _ = leanclip("export", checkpoint, tmp_path / "bundle", "--to", "onnx", *options)
    assert status == 0
    for part in ("image", "text", "fp16", "int8", "onnx/text-int8.onnx", "golden self-test"):
        assert part in out
    bundle = read_bundle(tmp_path / "bundle")
    assert bundle.licence == "CC0-1.0"
    assert bundle.training_data == ("a", "b")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("export", "{tmp}/none", "{tmp}/bundle"), "none is not a checkpoint"),
        (("export", "{checkpoint}", "{tmp}"), "exists and is not a bundle"),
        (("export", "{checkpoint}", "{tmp}/b", "--to", "onnx,tflite"), "'tflite'; formats: onnx"),
        (("import", "ViT-B-32/openai"), "name it open_clip:MODEL/PRETRAINED"),
        (("import", "open_clip:ViT-B-32/random", "{tmp}/b"), "random weights"),
    ],
)
def test_bad_input_is_one_line(leanclip, checkpoint, tmp_path, arguments, message):
    (tmp_path / "photo.jpg").touch()
    places = {"tmp": tmp_path, "checkpoint": checkpoint}
    status, out, err = leanclip(*(part.format(**places) for part in arguments))
    assert (status, out) == (1, "")
    assert message in err
    assert "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
