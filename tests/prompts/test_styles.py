from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modules.core.errors import InvalidRequest, StorageFailed
from modules.prompts.styles import Style, StyleBook, merged


def book(tmp_path: Path, text: str = "", name: str = "styles.csv") -> StyleBook:
    path = tmp_path / name
    if text:
        path.write_text(text, encoding="utf-8")
    return StyleBook([path])


def names(styles: StyleBook) -> list[str]:
    return [style.name for style in styles.styles()]


FILE = 'name,prompt,negative_prompt\nphoto,"photo of {prompt}, 35mm",drawing\nbold,"bold, bright",\n'


def test_a_file_s_styles_are_read(tmp_path: Path) -> None:
    styles = book(tmp_path, FILE)
    path = tmp_path / "styles.csv"
    assert styles.styles() == (
        Style("photo", "photo of {prompt}, 35mm", "drawing", path),
        Style("bold", "bold, bright", "", path),
    )
    assert styles.get("bold") == Style("bold", "bold, bright", "", path)
    assert styles.get("none such") is None


def test_no_file_is_no_styles(tmp_path: Path) -> None:
    styles = book(tmp_path)
    assert (styles.styles(), styles.problems()) == ((), ())


@pytest.mark.parametrize(
    "text", ["\ufeff" + FILE, FILE.replace("\n", "\r\n"), "name, prompt, negative_prompt\n" + FILE.split("\n", 1)[1]]
)
def test_marks_and_line_ends_of_other_programs_are_understood(tmp_path: Path, text: str) -> None:
    assert names(book(tmp_path, text)) == ["photo", "bold"]


def test_the_oldest_files_call_the_prompt_text_and_have_no_negative_prompt(tmp_path: Path) -> None:
    styles = book(tmp_path, "name,text\nold,an old style\n")
    assert styles.styles()[0].prompt == "an old style"
    styles.save(Style("old", "newer", "bad"))
    assert (tmp_path / "styles.csv").read_text("utf-8-sig").split() == ["name,text,negative_prompt", "old,newer,bad"]


def test_comments_and_short_rows_are_no_styles(tmp_path: Path) -> None:
    styles = book(tmp_path, "name,prompt,negative_prompt\n# a comment,,\n\n,nameless,\nshort\nreal,x,y\n")
    assert names(styles) == ["short", "real"]


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    styles = book(tmp_path, FILE)
    assert len(styles.styles()) == 2
    path = tmp_path / "styles.csv"
    path.write_text(FILE + "third,3,\n")
    assert names(styles) == ["photo", "bold", "third"]
    path.unlink()
    assert names(styles) == []


def test_of_two_files_the_later_one_counts_and_the_first_takes_new_styles(tmp_path: Path) -> None:
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    first.write_text("name,prompt,negative_prompt\nsame,from a,\n")
    second.write_text("name,prompt,negative_prompt\nsame,from b,\n")
    styles = StyleBook([first, second])
    assert [(style.prompt, style.path) for style in styles.styles()] == [("from b", second)]
    assert styles.save(Style("new", "x")).path == first
    assert styles.save(Style("same", "changed")).path == second
    assert "from a" in first.read_text("utf-8-sig")
    styles.delete("same")
    assert names(styles) == ["new"]


def test_a_pattern_stands_for_all_its_files(tmp_path: Path) -> None:
    (tmp_path / "my_b.csv").write_text("name,prompt,negative_prompt\nb,b,\n")
    (tmp_path / "my_a.csv").write_text("name,prompt,negative_prompt\na,a,\n")
    (tmp_path / "other.csv").write_text("name,prompt,negative_prompt\nc,c,\n")
    styles = StyleBook([tmp_path / "my_*.csv"])
    assert names(styles) == ["a", "b"]
    assert styles.default_file == tmp_path / "my_a.csv"
    assert StyleBook([tmp_path / "none_*.csv"]).default_file == tmp_path / "styles.csv"


def test_saving_keeps_the_other_rows_comments_and_columns(tmp_path: Path) -> None:
    text = 'name,prompt,negative_prompt,note\n# mine,,,\nphoto,p,n,"keep, me"\n" spaced"," x",,\n'
    styles = book(tmp_path, text)
    styles.save(Style("photo", "new", "newer"))
    styles.save(Style("extra", "e"))
    written = (tmp_path / "styles.csv").read_text("utf-8-sig").splitlines()
    assert written == [
        "name,prompt,negative_prompt,note",
        "# mine,,,",
        'photo,new,newer,"keep, me"',
        '" spaced"," x","",""',
        "extra,e,,",
    ]
    assert styles.get(" spaced") == Style(" spaced", " x", "", tmp_path / "styles.csv")


def test_saving_leaves_nothing_beside_the_file_and_keeps_its_permissions(tmp_path: Path) -> None:
    styles = book(tmp_path, FILE)
    path = tmp_path / "styles.csv"
    path.chmod(0o640)
    styles.save(Style("new", "x"))
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_linked_file_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real.csv"
    real.write_text(FILE)
    link = tmp_path / "styles.csv"
    link.symlink_to(real)
    StyleBook([link]).save(Style("new", "x"))
    assert link.is_symlink()
    assert "new,x" in real.read_text("utf-8-sig")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe\x00broken", b"not,a,list\n1,2,3\n", b'name,prompt\na,"' + b"x" * 200_000 + b'"\n']
)
def test_a_broken_file_is_named_left_alone_and_the_others_work_on(tmp_path: Path, content: bytes) -> None:
    broken, good = tmp_path / "broken.csv", tmp_path / "good.csv"
    broken.write_bytes(content)
    good.write_text(FILE)
    styles = StyleBook([broken, good])
    assert names(styles) == ["photo", "bold"]
    (problem,) = styles.problems()
    assert str(broken) in problem
    with pytest.raises(StorageFailed, match=r"broken\.csv"):
        styles.save(Style("new", "x"))
    assert broken.read_bytes() == content


def test_a_folder_that_takes_no_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where the folder should be")
    with pytest.raises(StorageFailed, match=r"blocked"):
        StyleBook([tmp_path / "blocked" / "styles.csv"]).save(Style("new", "x"))


@pytest.mark.parametrize(
    "style",
    [
        Style("", "x"),
        Style("  ", "x"),
        Style("# note", "x"),
        Style("a", "x" * 200_000),
        Style("a", "half \ud800"),
        Style("a", "x", "\udc00"),
    ],
)
def test_what_could_not_be_read_again_is_refused(tmp_path: Path, style: Style) -> None:
    styles = book(tmp_path, FILE)
    with pytest.raises(InvalidRequest):
        styles.save(style)
    assert (tmp_path / "styles.csv").read_text() == FILE


def test_deleting_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="none such"):
        book(tmp_path, FILE).delete("none such")


@pytest.mark.parametrize(
    ("style", "prompt", "expected"),
    [
        ("bold", "a cat", "a cat, bold"),
        ("bold", "", "bold"),
        ("", " a cat ", "a cat"),
        ("", "", ""),
        ("photo of {prompt}, 35mm", "a cat", "photo of a cat, 35mm"),
        ("photo of {prompt}", "", "photo of "),
        ("{prompt} and {prompt}", "me", "me and me"),
    ],
)
def test_a_style_takes_the_prompt_in_its_middle_or_follows_it(style: str, prompt: str, expected: str) -> None:
    assert merged(style, prompt) == expected


def test_styles_are_applied_one_after_the_other(tmp_path: Path) -> None:
    styles = book(tmp_path, FILE)
    assert styles.apply("a cat", "blurry", ["photo", "bold", "none such"]) == (
        "photo of a cat, 35mm, bold, bright",
        "blurry, drawing",
    )


def test_styles_in_a_pasted_prompt_are_recognised_and_taken_out(tmp_path: Path) -> None:
    styles = book(tmp_path, FILE)
    applied = styles.apply("a cat", "blurry", ["photo", "bold"])
    assert styles.extract(*applied) == (("photo", "bold"), "a cat", "blurry")


@pytest.mark.parametrize(
    ("prompt", "negative"),
    [("photo of a cat, 35mm", "blurry"), ("photo of a cat", "drawing"), ("35mm", "drawing"), ("overbold, bright", "")],
)
def test_half_a_style_is_no_style(tmp_path: Path, prompt: str, negative: str) -> None:
    assert book(tmp_path, FILE).extract(prompt, negative) == ((), prompt, negative)


def test_styles_that_change_nothing_are_not_found_in_every_prompt(tmp_path: Path) -> None:
    styles = book(tmp_path, "name,prompt,negative_prompt\nnone,,\nsame,{prompt},{prompt}\n")
    assert styles.extract("a cat", "a dog") == ((), "a cat", "a dog")


texts = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=20)
pieces = st.lists(st.sampled_from(["{prompt}", "a", ", ", " ", "\n", '"', "bold", "}"]), max_size=6).map("".join)
style_names = texts.filter(lambda name: name.strip() != "" and not name.startswith("#"))
style_lists = st.lists(st.builds(Style, style_names, texts | pieces, texts | pieces), max_size=4)
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


@shared_folder
@given(style_lists)
def test_what_is_saved_is_read_again(tmp_path: Path, styles: list[Style]) -> None:
    path = tmp_path / "styles.csv"
    path.unlink(missing_ok=True)
    for style in styles:
        StyleBook([path]).save(style)
    expected = {style.name: (style.prompt, style.negative_prompt) for style in styles}
    again = StyleBook([path])
    assert {style.name: (style.prompt, style.negative_prompt) for style in again.styles()} == expected
    for name in expected:
        again.delete(name)
    assert again.styles() == ()


@shared_folder
@given(style_lists, texts | pieces, texts | pieces)
def test_styles_taken_out_and_applied_again_give_the_same_prompts(
    tmp_path: Path, styles: list[Style], prompt: str, negative: str
) -> None:
    path = tmp_path / "styles.csv"
    path.unlink(missing_ok=True)
    for style in styles:
        StyleBook([path]).save(style)
    styles_book = StyleBook([path])
    applied = styles_book.apply(prompt, negative, [style.name for style in styles])
    found, left, negative_left = styles_book.extract(*applied)
    again = styles_book.apply(left, negative_left, found)
    assert [text.strip() for text in again] == [text.strip() for text in applied]
