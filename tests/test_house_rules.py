"""The house rules that no linter knows, each with a sample that breaks it."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LONGEST_FILE = 500
LONGEST_FUNCTION = 60
SKIPPED_FOLDERS = {
    ".git", ".venv", ".hypothesis", "extensions", "outputs", "starter-training", "node_modules", "__pycache__",
}  # fmt: skip
TEXT_SUFFIXES = {".py", ".md", ".toml", ".txt", ".js", ".css", ".html", ".json", ".sh", ".yml", ".cfg", ""}
LARGEST_TEXT = 300_000
# Folders that belong to one developer's machine and not to a clone. Put together here so as not to name them.
PRIVATE_PLACES = re.compile(r"\.\./sha" + r"red\b|(?<![\w.])/wo" + r"rk/\w")
CONSTANT_NAME = re.compile(r"_{0,2}[A-Z][A-Z0-9_]*|_?[A-Z]\w*|__\w+__|_?log(ger)?")
MUTABLE_DISPLAYS = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
HARMLESS_CALLS = {"HookspecMarker", "HookimplMarker", "getLogger", "compile", "frozenset", "tuple", "partial", "Path"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def python_files(root: Path) -> list[Path]:
    return [path for path in files(root) if path.suffix == ".py"]


def files(root: Path) -> list[Path]:
    found = []
    for path in root.iterdir():
        if path.is_dir() and path.name not in SKIPPED_FOLDERS and not path.name.endswith("_cache"):
            found += files(path)
        elif path.is_file():
            found.append(path)
    return sorted(found)


def module_files(root: Path) -> list[Path]:
    return python_files(root / "modules")


def overlong_files(source: str) -> Iterator[str]:
    length = len(source.splitlines())
    if length > LONGEST_FILE:
        yield f"1: {length} lines, at most {LONGEST_FILE}"


def overlong_functions(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{node.lineno}: {node.name} has {length} lines, at most {LONGEST_FUNCTION}"


def nodes_where(source: str, word: str) -> Iterator[ast.AST]:
    """The nodes of a file in which a word stands somewhere; most files need not be parsed to know that it does not."""
    return ast.walk(ast.parse(source)) if word in source else iter(())


def global_statements(source: str) -> Iterator[str]:
    for node in nodes_where(source, "global"):
        if isinstance(node, ast.Global):
            yield f"{node.lineno}: global {', '.join(node.names)}"


def missing_docstrings(source: str) -> Iterator[str]:
    if ast.get_docstring(ast.parse(source)) is None:
        yield "1: no docstring"


def prints(source: str) -> Iterator[str]:
    for node in nodes_where(source, "print"):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            yield f"{node.lineno}: print"


def module_level_state(source: str) -> Iterator[str]:
    for statement in statements_run_at_import(ast.parse(source).body):
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets, value = [statement.target], statement.value
        else:
            continue
        names = [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
        wrong = [name for name in names if not CONSTANT_NAME.fullmatch(name)]
        if wrong and is_mutable(value):
            yield f"{statement.lineno}: module-level state {', '.join(wrong)}"


def statements_run_at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With | ast.For | ast.While):
            inner = [child for child in ast.iter_child_nodes(statement) if isinstance(child, ast.stmt)]
            yield from statements_run_at_import(inner)


def is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        function = value.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return name not in HARMLESS_CALLS
    if isinstance(value, ast.Tuple):
        return any(is_mutable(element) for element in value.elts)
    return isinstance(value, MUTABLE_DISPLAYS)


def private_places(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), start=1):
        if PRIVATE_PLACES.search(line):
            yield f"{number}: {line.strip()[:80]}"


Rule = Callable[[str], Iterator[str]]

EVERY_PYTHON_FILE_RULES: tuple[Rule, ...] = (overlong_files, overlong_functions, global_statements)
MODULE_RULES: tuple[Rule, ...] = (missing_docstrings, prints, module_level_state)


def broken(rule: Rule, paths: list[Path], root: Path) -> list[str]:
    sources = {path.relative_to(root): path.read_text(encoding="utf-8") for path in paths}
    return [f"{name}:{complaint}" for name, source in sources.items() for complaint in rule(source)]


@pytest.mark.parametrize("rule", EVERY_PYTHON_FILE_RULES, ids=lambda rule: rule.__name__)
def test_no_python_file_breaks_the_rule_on(rule: Rule, repo_root: Path) -> None:
    assert not broken(rule, python_files(repo_root), repo_root)


@pytest.mark.parametrize("rule", MODULE_RULES, ids=lambda rule: rule.__name__)
def test_no_module_breaks_the_rule_on(rule: Rule, repo_root: Path) -> None:
    assert not broken(rule, module_files(repo_root), repo_root)


def test_no_file_names_a_place_outside_the_repository(repo_root: Path) -> None:
    texts = [path for path in files(repo_root) if path.suffix in TEXT_SUFFIXES and path.stat().st_size < LARGEST_TEXT]
    assert not broken(private_places, texts, repo_root)


def test_every_package_has_tests_of_its_name(repo_root: Path) -> None:
    packages = [path.name for path in (repo_root / "modules").iterdir() if (path / "__init__.py").is_file()]
    tests = repo_root / "tests"
    untested = [name for name in packages if not [*tests.glob(f"{name}/**/test_*.py"), *tests.glob(f"test_{name}*.py")]]
    assert not untested


@pytest.mark.parametrize(
    ("rule", "sample"),
    [
        (overlong_files, "x = 1\n" * 501),
        (overlong_functions, "def long():\n" + "    pass\n" * 60),
        (overlong_functions, "class A:\n    async def long(self):\n" + "        pass\n" * 60),
        (global_statements, "def change():\n    global STATE\n    STATE = 1\n"),
        (missing_docstrings, "import os\n"),
        (prints, '"""Doc."""\nprint("hello")\n'),
        (module_level_state, "cache = {}\n"),
        (module_level_state, "jobs: list[int] = []\n"),
        (module_level_state, "state = SharedState()\n"),
        (module_level_state, "if True:\n    first, second = [], []\n"),
        (module_level_state, "try:\n    seen = set()\nexcept ValueError:\n    pass\n"),
        (private_places, "see ../sha" + "red/notes.md\n"),
        (private_places, "open('/wo" + "rk/main/x')\n"),
    ],
)
def test_a_sample_breaks_the_rule(rule: Rule, sample: str) -> None:
    assert list(rule(sample))


@pytest.mark.parametrize(
    ("rule", "sample"),
    [
        (overlong_files, "x = 1\n" * 500),
        (overlong_functions, "def short():\n" + "    pass\n" * 59),
        (module_level_state, "import logging\nlogger = logging.getLogger(__name__)\n"),
        (module_level_state, "SOLVERS: dict[str, int] = {}\n_NAMES = ['a']\n__all__ = ['x']\nAlias = list[int]\n"),
        (module_level_state, "def build():\n    cache = {}\n    return cache\n"),
        (private_places, "from modules.a1111 import shared\nhomework/x\n"),
    ],
)
def test_a_clean_sample_passes_the_rule(rule: Rule, sample: str) -> None:
    assert not list(rule(sample))
