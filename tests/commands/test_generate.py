"""`launch.py generate`: flags to request, pictures to files, and every mistake said in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from modules.commands import generate
from modules.core.errors import OutOfMemory
from modules.core.parameters import PARAMETERS
from modules.core.ports import CancelToken, RunSink
from modules.core.request import GenerationRequest
from modules.core.result import GenerationResult
from modules.settings.store import SettingsStore
from tests.fakes import FakeEngine

OF_THE_SECOND_PASS = {
    "subseed": 9, "subseed_strength": 0.25, "enable_hr": True, "hr_upscaler": "Lanczos", "hr_second_pass_steps": 3,
    "denoising_strength": 0.5, "hr_scale": 1.5, "refiner_checkpoint": "starter", "refiner_switch_at": 0.5,
    "vae": "None", "tiling": True,
}  # fmt: skip


OVER_A_PICTURE = {
    "denoising_strength": 0.4, "resize_mode": 2, "image_cfg_scale": 1.2, "mask_mode": "Inpaint not masked",
    "mask_blur_x": 7, "masked_content": "latent noise", "inpaint_area": "Only masked", "masked_padding": 16,
}  # fmt: skip


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def run(engine: FakeEngine, folder: Path, *arguments: str) -> int:
    return generate.main(["--data-dir", str(folder / "data"), *arguments], lambda config, files, pictures: engine)


def test_one_prompt_makes_one_file_with_the_models_own_size(engine: FakeEngine, tmp_path: Path) -> None:
    output = tmp_path / "new" / "apple.png"
    assert run(engine, tmp_path, "a red apple", "-o", str(output), "--seed", "3", "--steps", "2") == 0
    request, done = engine.runs[0]
    assert (request.prompt, request.seed, request.steps, done) == ("a red apple", 3, 2, frozenset())
    assert (request.width, request.height) == (128, 128)
    assert request.checkpoint.startswith("starter")
    with Image.open(output) as picture:
        assert picture.size == (128, 128)
        assert picture.text["parameters"].startswith("a red apple\n")
    assert [path.name for path in output.parent.iterdir()] == ["apple.png"]


def test_the_same_command_makes_the_same_bytes(engine: FakeEngine, tmp_path: Path) -> None:
    for name in ("first.png", "second.png"):
        assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / name), "--seed", "3", "--steps", "2") == 0
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()


def test_every_flag_reaches_the_request(engine: FakeEngine, tmp_path: Path) -> None:
    values = {
        "negative_prompt": "a worm",
        "sampler": "Euler",
        "scheduler": "Karras",
        "steps": 5,
        "width": 64,
        "height": 72,
        "batch_count": 2,
        "batch_size": 3,
        "cfg_scale": 3.5,
        "seed": 2**63 - 1,
        "clip_skip": 2,
        "noise_source": "NV",
    }
    flags = [part for name, value in values.items() for part in (PARAMETERS[name].flags[0], str(value))]
    assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / "out.png"), "--model", "starter", *flags) == 0
    request, _ = engine.runs[0]
    assert {name: getattr(request, name) for name in values} == values
    flagged = {name for name, parameter in PARAMETERS.items() if parameter.flags}
    others = {"checkpoint", *OF_THE_SECOND_PASS, *OVER_A_PICTURE, *generate.PICTURE_HELP}
    assert set(values) | others == flagged


def test_flags_of_the_second_pass_and_assignments_reach_the_request(engine: FakeEngine, tmp_path: Path) -> None:
    flags = [part for name, value in OF_THE_SECOND_PASS.items() for part in _written(name, value)]
    output = str(tmp_path / "out.png")
    more = ("--set", "s_churn=2", "--set", "hr_prompt=a = b")
    assert run(engine, tmp_path, "a pear", "-o", output, "--steps", "1", *flags, *more) == 0
    request, _ = engine.runs[0]
    assert {name: getattr(request, name) for name in OF_THE_SECOND_PASS} == OF_THE_SECOND_PASS
    assert (request.s_churn, request.hr_prompt) == (2.0, "a = b")


def test_an_assignment_to_an_unknown_name_is_refused(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / "out.png"), "--set", "s_chrun=2") == 2
    assert "s_chrun" in capsys.readouterr().err


def _written(name: str, value: object) -> list[str]:
    flag = PARAMETERS[name].flags[0]
    return [flag] if value is True else [flag, str(value)]


class Onlooker(FakeEngine):
    """Looks at the pictures that a request names, as the real engine does."""

    def __init__(self, pictures: Callable[[str], Image.Image]) -> None:
        super().__init__()
        self.pictures = pictures
        self.seen: list[Image.Image] = []

    def generate(
        self, request: GenerationRequest, sink: RunSink, cancel: CancelToken, done: frozenset[int] = frozenset()
    ) -> GenerationResult:
        digests = request.init_image, request.mask_image, request.depth_image
        self.seen = [self.pictures(digest) for digest in digests if digest]
        return super().generate(request, sink, cancel, done)


def look(folder: Path, *arguments: str) -> Onlooker:
    """Run the command, and return the engine with what it has seen."""
    engines: list[Onlooker] = []

    def make(config: object, files: object, pictures: Callable[[str], Image.Image]) -> Onlooker:
        engines.append(Onlooker(pictures))
        return engines[0]

    output = ("-o", str(folder / "out.png"), "--steps", "1")
    assert generate.main(["--data-dir", str(folder / "data"), "a pear", *output, *arguments], make) == 0
    return engines[0]


def put(folder: Path, name: str, color: str, size: tuple[int, int] = (100, 72)) -> str:
    Image.new("RGB", size, color).save(folder / name)
    return str(folder / name)


def test_a_picture_is_worked_over_in_its_own_size(tmp_path: Path) -> None:
    files = {flag: put(tmp_path, f"{color}.png", color) for flag, color in
             (("--init-image", "red"), ("--mask-image", "white"), ("--depth-image", "blue"))}  # fmt: skip
    flags = [part for name, value in OVER_A_PICTURE.items() for part in _written(name, value)]
    engine = look(tmp_path, *(part for pair in files.items() for part in pair), *flags)
    request, _ = engine.runs[0]
    assert {name: getattr(request, name) for name in OVER_A_PICTURE} == OVER_A_PICTURE
    assert request.mask_blur_y == 7, "one flag for both directions"
    assert (request.width, request.height) == (96, 72), "whole latents"
    assert [picture.getpixel((5, 5)) for picture in engine.seen] == [(255, 0, 0), (255, 255, 255), (0, 0, 255)]


def test_a_size_that_is_given_counts_more_than_that_of_the_picture(tmp_path: Path) -> None:
    engine = look(tmp_path, "--init-image", put(tmp_path, "red.png", "red"), "--width", "64", "--set", "mask_blur_y=1")
    request, _ = engine.runs[0]
    assert (request.width, request.height, request.mask_blur_y) == (64, 72, 1)


def test_a_picture_that_cannot_be_read_is_named(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    for flag, file, words in (
        ("--init-image", "gone.png", "--init-image (Image): "), ("--init-image", "gone.png", "cannot be read (No such"),
        ("--mask-image", "text.png", "text.png, 10 bytes that are no picture"),
    ):  # fmt: skip
        assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / "out.png"), flag, str(tmp_path / file)) == 2
        assert words in capsys.readouterr().err
    assert engine.runs == []


def test_the_real_engine_works_over_a_picture(tmp_path: Path) -> None:
    original = put(tmp_path, "red.png", "red", (64, 64))
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 0, 32, 64))
    mask.save(tmp_path / "mask.png")
    arguments = ["a pear", "--seed", "5", "--steps", "2", "--use-cpu", "--data-dir", str(tmp_path), "--mask-blur", "0"]
    pictures = ["--init-image", original, "--mask-image", str(tmp_path / "mask.png"), "--denoising-strength", "1"]
    assert generate.main([*arguments, *pictures, "-o", str(tmp_path / "out.png")]) == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (64, 64)
        assert picture.crop((32, 0, 64, 64)).getcolors() == [(32 * 64, (255, 0, 0))]
        assert picture.crop((0, 0, 32, 64)).getcolors() != [(32 * 64, (255, 0, 0))]


def test_several_pictures_get_numbers_or_a_folder(engine: FakeEngine, tmp_path: Path) -> None:
    many = ("--batch-count", "2", "--seed", "5", "--steps", "1")
    assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / "out.png"), *many) == 0
    assert sorted(path.name for path in tmp_path.glob("*.png")) == ["out-1.png", "out-2.png"]
    assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / "folder"), *many) == 0
    assert sorted(path.name for path in (tmp_path / "folder").iterdir()) == ["00000-5.png", "00001-6.png"]
    assert (tmp_path / "folder" / "00001-6.png").read_bytes() == (tmp_path / "out-2.png").read_bytes()


def test_what_is_not_given_comes_from_the_settings(engine: FakeEngine, tmp_path: Path) -> None:
    settings = SettingsStore(tmp_path / "data" / "config.json")
    settings.update({"CLIP_stop_at_last_layers": 2, "randn_source": "CPU"})
    assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / "out.png"), "--steps", "1") == 0
    request, _ = engine.runs[0]
    assert (request.clip_skip, request.noise_source) == (2, "CPU")
    assert request.seed >= 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "0"], "--steps (Sampling steps): 0 is not possible; allowed is a whole number from 1 to 150."),
        (["--seed", "abc"], "--seed (Seed): abc is not possible"),
        (["--width", "7", "--height", "100000"], "--height (Height): 100000 is not possible"),
        (["--sampler", "Eulr"], "--sampler (Sampling method): Eulr is not possible; allowed is one of DPM++ 2M"),
        (["--model", "gone"], "There is no checkpoint named 'gone'"),
        (["-o", "picture.jpg"], "--output: picture.jpg is not possible; allowed is a folder or a file ending in .png."),
    ],
)
def test_a_mistake_is_said_in_one_line(
    arguments: list[str], words: str, engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / "out.png"), *arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert engine.runs == []


def test_a_failing_engine_is_said_in_one_line_and_finished_pictures_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = FakeEngine(fail_at={1: OutOfMemory("Too little memory; lower the size.")})
    arguments = ("a pear", "-o", str(tmp_path / "out.png"), "--batch-count", "2", "--steps", "1")
    assert run(engine, tmp_path, *arguments) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "Too little memory; lower the size."
    assert (tmp_path / "out-1.png").exists()


def test_a_file_that_cannot_be_written_is_said_before_the_work(
    engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(engine, tmp_path, "a pear", "-o", str(tmp_path / "file" / "out.png")) == 2
    assert "cannot be made" in capsys.readouterr().err
    assert engine.runs == []


def test_progress_is_told_on_standard_error(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "TELL_EVERY_SECONDS", 0.0)
    arguments = ("a pear", "-o", str(tmp_path / "out.png"), "--steps", "3", "--batch-count", "2", "--seed", "4")
    assert run(engine, tmp_path, *arguments) == 0
    told = capsys.readouterr().err
    assert "Loading starter" in told
    assert "Picture 2 of 2, step 3 of 3, 0 s left" in told
    assert f"Saved {tmp_path / 'out-2.png'} (seed 5)." in told


def test_flags_that_make_no_sense_end_with_exit_code_2(engine: FakeEngine, tmp_path: Path) -> None:
    for arguments in (["a pear"], ["-o", "x.png"], ["a pear", "-o", "x.png", "--nonsense"]):
        with pytest.raises(SystemExit) as left:
            run(engine, tmp_path, *arguments)
        assert left.value.code == 2


def test_the_real_engine_makes_the_same_bytes_twice(tmp_path: Path) -> None:
    arguments = ["a red apple", "--seed", "5", "--steps", "2", "--use-cpu", "--data-dir", str(tmp_path)]
    for name in ("first.png", "second.png"):
        assert generate.main([*arguments, "-o", str(tmp_path / name)]) == 0
    first = (tmp_path / "first.png").read_bytes()
    assert first == (tmp_path / "second.png").read_bytes()
    with Image.open(tmp_path / "first.png") as picture:
        assert picture.size == (128, 128)
        assert "Seed: 5" in picture.text["parameters"]
