import pytest

from export.probe.devicectl import find_iphone
from export.probe.files import write_probe
from export.probe.ios import probe_with_ios_app
from retrieval.spec.errors import ProbeError
from tests.export.probe.conftest import an_answer

PHONE = "6DEA7AA0-E7CE"
OTHER = "11111111-AAAA"


def test_the_app_answers(devices, litert_plan):
    home = devices(**{PHONE: {"app": "good"}})
    answer = an_answer(litert_plan, "ios")
    write_probe(home / "answer.json", answer)
    assert probe_with_ios_app(litert_plan, find_iphone(None), poll_seconds=0) == answer
    (run,) = (home / PHONE / "Documents/probe").iterdir()
    names = {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file()}
    expected = {"bundle.json", "golden.json", "merges.txt"} | {f.file for f in litert_plan.files}
    assert names == {"job.json", "result.json"} | {f"bundle/{name}" for name in expected}


def test_the_app_can_be_installed_first(devices, litert_plan, tmp_path):
    home = devices(**{PHONE: {}})
    write_probe(home / "answer.json", an_answer(litert_plan, "ios"))
    with pytest.raises(ProbeError, match="My iPhone has no org.leanclip.app: build apps/ios"):
        probe_with_ios_app(litert_plan, find_iphone(None))
    with pytest.raises(ProbeError, match="there is no app at"):
        probe_with_ios_app(litert_plan, find_iphone(None), app=tmp_path / "none.app")
    (tmp_path / "leanclip.app").mkdir()
    phone, app = find_iphone(None), tmp_path / "leanclip.app"
    assert probe_with_ios_app(litert_plan, phone, app=app, poll_seconds=0).passed
    assert "install app" in (home / "calls.txt").read_text()


@pytest.mark.parametrize(
    ("phones", "serial", "said"),
    [
        ({}, None, "no iPhone is connected"),
        ({PHONE: {"platform": "watchOS"}}, None, "no iPhone is connected"),
        ({PHONE: {"tunnel": "unavailable"}}, None, "no iPhone is connected"),
        ({PHONE: {"tunnel": "unavailable"}}, PHONE, "My iPhone is gone"),
        ({PHONE: {}}, OTHER, f"{OTHER} is not connected"),
        ({PHONE: {}, OTHER: {}}, None, f"choose one: --serial {PHONE} | {OTHER}"),
        ({PHONE: {"pairing": "unpaired"}}, None, "unlock it and tap Trust"),
        ({PHONE: {"developer_mode": "disabled"}}, None, "is not in Developer Mode"),
        ({PHONE: {"system": "16.7"}}, None, "has iOS 16.7, at least 17 is needed"),
    ],
)
def test_a_phone_that_cannot_be_used_says_what_to_do(devices, phones, serial, said):
    devices(**phones)
    with pytest.raises(ProbeError) as failed:
        find_iphone(serial)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("serial", [OTHER, f"00008110-{OTHER[:8]}", "Anna's"])
def test_one_of_several_phones_can_be_chosen(devices, serial):
    devices(**{PHONE: {}, OTHER: {"name": "Anna's"}})
    assert find_iphone(serial).identifier == OTHER


def test_without_xcode_the_mac_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProbeError, match="xcrun is not on the PATH: .* Mac with Xcode 15"):
        find_iphone(None)


def test_a_devicectl_that_lists_nothing_is_one_line(monkeypatch, tmp_path):
    script = tmp_path / "xcrun"
    script.write_text("#!/bin/sh\necho 'xcrun: error: unable to find utility \"devicectl\"' >&2\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(ProbeError, match='unable to find utility "devicectl"; iPhones can be'):
        find_iphone(None)


@pytest.mark.parametrize(
    ("like", "said"),
    [
        ({"locked": True}, "My iPhone is locked: unlock it"),
        ({"full": True}, "My iPhone is full: free some space"),
        ({"app": "gives-up"}, "the app on My iPhone gave up: no memory left"),
        ({"unplugged_at": "copy to"}, "My iPhone is gone: plug it in"),
        ({"unplugged_at": "process launch"}, "My iPhone is gone: plug it in"),
        ({"unplugged_at": "copy from"}, "My iPhone is gone: plug it in"),
    ],
)
def test_what_goes_wrong_on_the_phone_is_one_clear_line(devices, litert_plan, like, said):
    home = devices(**{PHONE: {"app": "good"} | like})
    write_probe(home / "answer.json", an_answer(litert_plan, "ios"))
    with pytest.raises(ProbeError) as failed:
        probe_with_ios_app(litert_plan, find_iphone(None), poll_seconds=0)
    assert said in str(failed.value)
    assert "\n" not in str(failed.value)


def test_an_app_that_makes_nothing_is_given_up(devices, litert_plan, monkeypatch):
    devices(**{PHONE: {"app": "slow"}})
    monkeypatch.setattr("export.probe.ios.seconds_allowed", lambda plan: 0.3)
    with pytest.raises(ProbeError, match="made no result within 0 seconds: keep the phone"):
        probe_with_ios_app(litert_plan, find_iphone(None), poll_seconds=0)


def test_another_models_answer_is_refused(devices, litert_plan):
    home = devices(**{PHONE: {"app": "good"}})
    write_probe(home / "answer.json", an_answer(litert_plan, "android"))
    with pytest.raises(ProbeError, match="answered for tiny on android, asked for tiny on ios"):
        probe_with_ios_app(litert_plan, find_iphone(None), poll_seconds=0)
