"""Who may import whom, as docs/architecture.md draws it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def arrows() -> dict[str, set[str]]:
    """Each part, and the parts that it may import: its block "imports", line by line."""
    block = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("```imports\n")[1].split("```")[0]
    sides = (line.split("->") for line in block.splitlines())
    return {part.strip(): {name.strip() for name in names.split(",") if name.strip()} for part, names in sides}


ARROWS = arrows()
HEAVY = {"torch", "transformers", "diffusers", "safetensors", "accelerate"}


def part_of(module: str) -> str | None:
    """The part that a module belongs to; the narrowest."""
    names = [name for name in ARROWS if module == name or module.startswith(f"{name}.")]
    return max(names, key=len, default=None)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield node.module
            # "from service import submit" imports service.edits.submit
            yield from (f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name))


def files_read(path: Path) -> Iterator[str]:
    """The modules whose names a file uses: of `from package import module` the module, and not its package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}" if _is_module(node.module, alias.name) else node.module


def _is_module(package: str, name: str) -> bool:
    place = ROOT.joinpath(*package.split("."), name)
    return place.is_dir() or place.with_suffix(".py").is_file()


def files() -> list[Path]:
    return sorted(path for top in {part.split(".")[0] for part in ARROWS} for path in (ROOT / top).rglob("*.py"))


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    own = part_of(module)
    for imported in imports(path):
        other = part_of(imported)
        if other not in (None, own):
            allowed = ARROWS[own]
            assert any(imported == name or imported.startswith(f"{name}.") for name in allowed), imported


@pytest.mark.parametrize("path", [p for p in files() if p.relative_to(ROOT).parts[0] == "service"], ids=str)
def test_the_service_imports_nothing_heavy(path):
    assert not HEAVY & {name.split(".")[0] for name in imports(path)}


@pytest.mark.parametrize("module", ["service.app", "service.__main__", "jobs.redis.queue", "p2p.spec", "p2p_client"])
def test_the_service_leaves_torch_unloaded(as_users_start_it, module):
    code = f"import sys, {module}; print(*sorted({HEAVY | {'worker'}!r} & sys.modules.keys()))"

    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert loaded.split() == []


def test_what_reads_a_picture_loads_no_pydantic():
    """A process is started for each: it would take longer to start than to read one."""
    code = "import sys, picture_files.decoding.__main__; print('PIL' in sys.modules, 'pydantic' in sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert loaded.split() == ["True", "False"]


#: The parts that are the product; the others teach, measure and show it.
PRODUCT = (
    *("p2p", "worker", "stack"),
    *("service", "jobs", "process", "layers", "prompts", "picture_files", "webhooks", "outbox", "reaper", "admin"),
)


def test_no_file_imports_itself_in_a_circle():
    modules = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in files()}
    after = {name: {one for one in files_read(path) if one in modules} - {name} for name, path in modules.items()}

    # Kahn's algorithm: what imports nothing that is left is taken away, until nothing is left.
    while free := {name for name, others in after.items() if not others & after.keys()}:
        after = {name: others for name, others in after.items() if name not in free}

    assert sorted(after) == []


def test_the_biggest_room_beside_the_sampler_is_a_quarter_of_the_product_at_most():
    lines = {top: sum(len(p.read_text().splitlines()) for p in (ROOT / top).rglob("*.py")) for top in PRODUCT}
    rooms = {top: count for top, count in lines.items() if top != "p2p"}

    assert max(rooms.values()) <= sum(lines.values()) / 4, rooms
