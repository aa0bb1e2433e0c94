"""Which processors must trade speed for exact int8 products."""

import pytest

from retrieval.encode import sessions

AVX2 = "processor\t: 0\nflags\t\t: fpu sse avx2 fma\nbugs\t\t: none\n"
VNNI = "processor\t: 0\nflags\t\t: fpu sse avx2 fma avx512f avx512_vnni\n"


@pytest.mark.parametrize(
    ("machine", "told", "saturates"),
    [
        ("x86_64", AVX2, True),
        ("x86_64", VNNI, False),
        ("AMD64", VNNI.replace("avx512_vnni", "avx_vnni"), False),
        ("x86_64", "", True),
        ("aarch64", AVX2, False),
    ],
)
def test_only_processors_that_saturate_are_slowed_down(tmp_path, machine, told, saturates):
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(told)
    assert sessions._products_may_saturate(machine, cpu_info) is saturates


def test_a_system_that_does_not_tell_is_taken_to_saturate(tmp_path):
    assert sessions._products_may_saturate("AMD64", tmp_path / "missing")


@pytest.mark.parametrize("saturates", [True, False])
def test_the_option_reaches_onnx_runtime(monkeypatch, saturates):
    monkeypatch.setattr(sessions, "_products_may_saturate", lambda *_: saturates)
    options = sessions._options(2)
    assert options.intra_op_num_threads == 2
    # ONNX Runtime has no way to ask for an entry that was never made.
    if saturates:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
    else:
        with pytest.raises(RuntimeError):
            options.get_session_config_entry("session.x64quantprecision")
