"""The house in figures: is every room in order, every module short, every public name shown?

python tools/house.py            the table, and what is over its limit
python tools/house.py --check    exit status 1 if a limit is passed
"""

import ast
import json
import re
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = (
    "",
    "data",
    "students",
    "losses",
    "training",
    "studies",
    "use",
)  # each uses those before it
MAY_USE = {"losses": {"", "losses"}}  # all others: themselves and those before


def modules() -> dict[str, Path]:
    """The package's modules by their dotted name, without those written by hand."""
    files = [
        *(ROOT / "collab_seg").glob("[a-z]*.py"),
        *(ROOT / "collab_seg").glob("[a-z]*/[a-z]*.py"),
    ]
    return {
        ".".join(path.relative_to(ROOT / "collab_seg").with_suffix("").parts): path
        for path in files
    }


def room_of(module: str) -> str:
    return module.rpartition(".")[0]


def uses(module: str, path: Path) -> set[str]:
    """The modules of this package that a module imports, anywhere in its code."""
    found, known = set(), modules()
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        target = node.module or ""
        if node.level == 1 and room_of(module):
            target = f"{room_of(module)}.{target}".strip(".")
        elif not node.level and target.split(".")[0] == "collab_seg":
            target = target.partition(".")[2]
        elif not node.level:
            continue
        names = {f"{target}.{alias.name}".strip(".") for alias in node.names}
        found |= ({target} | names) & set(known)
    return found


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules from which a way leads back to themselves."""

    def reached(start):
        seen, todo = set(), [*graph[start]]
        while todo:
            one = todo.pop()
            if one not in seen:
                seen.add(one)
                todo += graph[one]
        return seen

    return [module for module in graph if module in reached(module)]


def wrong_way(graph: dict[str, set[str]]) -> list[str]:
    """Imports from a room that a module must not know."""
    wrong = []
    for module, targets in graph.items():
        place = room_of(module)
        allowed = MAY_USE.get(place, set(ROOMS[: ROOMS.index(place) + 1]))
        wrong += [f"{module} uses {target}" for target in targets if room_of(target) not in allowed]
    return wrong


def notebooks() -> list[Path]:
    return sorted((ROOT / "nbs").rglob("[!.]*.ipynb"))


def code_cells(path: Path) -> list[str]:
    cells = json.loads(path.read_text())["cells"]
    return [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and cell.get("id") != "install"
    ]


def is_exported(source: str) -> bool:
    return bool(re.search(r"^#\| ?exporti?\b", source, re.M))


def is_public(source: str) -> bool:
    return bool(re.search(r"^#\| ?export *$", source, re.M))


def code_lines(source: str) -> int:
    return len([line for line in source.splitlines() if line.strip() and not line.startswith("#|")])


def definitions(source: str) -> list[ast.AST]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return [node for node in ast.parse(source).body if isinstance(node, kinds)]


def only_imports(source: str) -> bool:
    return all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.parse(source).body)


def functions(source: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]


def length(node) -> int:
    return node.end_lineno - node.lineno + 1


def is_shown(name: str, cells: list[str]) -> bool:
    """Is a name used in one of the next two cells that are no part of the module, and is there an
    assertion?"""
    shown = [cell for cell in cells if not is_exported(cell)][:2]
    used = any(re.search(rf"\b{name}\b", cell) for cell in shown)
    return used and any(re.search(r"^\s*assert\b", cell, re.M) for cell in shown)


def documented(source: str, function: ast.FunctionDef) -> tuple[list[str], list[str]]:
    """The parameters of a function that have a comment on their line, and those that have none."""
    lines, args = source.splitlines(), function.args
    every = [
        *args.posonlyargs,
        *args.args,
        *args.kwonlyargs,
        *[arg for arg in (args.vararg, args.kwarg) if arg],
    ]
    every = [arg for arg in every if arg.arg not in ("self", "cls")]
    said = [arg.arg for arg in every if "  # " in lines[arg.end_lineno - 1]]
    return said, [arg.arg for arg in every if arg.arg not in said]


INHERITED = {"directed", "choose"}  # explained where DistillationLoss and SelectiveLoss define them


def public_functions(source: str) -> list[ast.FunctionDef]:
    """Public functions and the public methods of public classes, without properties."""
    found = []
    for node in definitions(source):
        if node.name.startswith("_"):
            continue
        if isinstance(node, ast.FunctionDef):
            found.append(node)
            continue
        base = node.name in ("DistillationLoss", "SelectiveLoss")
        for method in node.body:
            if not isinstance(method, ast.FunctionDef) or method.decorator_list:
                continue
            if method.name in INHERITED and not base:
                continue
            if method.name == "__init__" or not method.name.startswith("_"):
                found.append(method)
    return found


def public_names(path: Path) -> list[str]:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


def places() -> list[tuple[str, str]]:
    """What somebody touches for each task; the tests add one of each and touch nothing else."""
    return [
        ("a loss or method", "1 cell: its class, and `add_method` below it (losses)"),
        ("a data set", "1 cell: `register(Source(...))` (data)"),
        ("a student", "2 cells: its class, and `add_architecture` below it (students)"),
        (
            "an optimiser or schedule",
            "1 cell: its line in OPTIMISERS or SCHEDULES (training.optim)",
        ),
        ("a file of a run folder", "1 module: `Run` (training.run)"),
    ]


def measure() -> tuple[list[tuple], dict[str, list[str]]]:
    """Lines of the table (what, value, wanted, within), and what is behind each."""
    files, notes = modules(), {}
    graph = {name: uses(name, path) for name, path in files.items()}
    cells = {path: code_cells(path) for path in notebooks()}
    exported = [
        (path, cell)
        for path, each in cells.items()
        for cell in each
        if is_exported(cell) and not only_imports(cell)
    ]
    sizes = [code_lines(cell) for _, cell in exported]
    lines = {name: len(path.read_text().splitlines()) for name, path in files.items()}
    long = [
        (name, f.name, length(f))
        for name, path in files.items()
        for f in functions(path.read_text())
        if length(f) > 40
    ]
    wide = [
        f"{path.stem}: {line.strip()[:80]}"
        for path, each in cells.items()
        for cell in each
        for line in cell.splitlines()
        if len(line) > 100
    ]
    wide += [
        f"{name}:{n}"
        for name, path in files.items()
        for n, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > 100
    ]
    shown, hidden, said, silent = 0, [], 0, []
    for path, each in cells.items():
        for place, cell in enumerate(each):
            if not is_public(cell):
                continue
            for node in definitions(cell):
                if not node.name.startswith("_"):
                    if is_shown(node.name, each[place + 1 :]):
                        shown += 1
                    else:
                        hidden.append(f"{path.stem}: {node.name}")
            for function in public_functions(cell):
                known, unknown = documented(cell, function)
                said += len(known)
                silent += [f"{path.stem}: {function.name}({name})" for name in unknown]
    notes["circles"], notes["imports of a room that must not be known"] = (
        circles(graph),
        wrong_way(graph),
    )
    notes["lines a module, most"] = [
        f"{name} {count}" for name, count in lines.items() if count > 300
    ]
    notes["lines an exported cell, most"] = [
        f"{path.stem} {code_lines(cell)}: {cell.splitlines()[1][:60]}"
        for path, cell in exported
        if code_lines(cell) > 30
    ]
    notes["lines a function, most"] = [f"{name}.{f} {n}" for name, f, n in long]
    notes["lines over 100 columns"] = wide
    notes["public definitions used and asserted within two cells, %"] = hidden
    notes["parameters of public functions that are documented, %"] = silent
    totals = {path: sum(map(code_lines, each)) for path, each in cells.items()}
    limit = {"course": 200, "kit": 400, "howto": 200, "nbs": 200}
    notes["notebooks with too many code lines"] = [
        f"{path.parent.name}/{path.stem} {count}"
        for path, count in totals.items()
        if count > limit[path.parent.name]
    ]
    names = sum(len(public_names(path)) for path in files.values())
    top = len(
        ast.literal_eval(
            re.search(r"_HOME = (\{.*?\n\})", (ROOT / "collab_seg/__init__.py").read_text(), re.S)[
                1
            ]
        )
    )
    longest = max(
        (length(f) for path in files.values() for f in functions(path.read_text())), default=0
    )
    share = 100 * shown / max(1, shown + len(hidden))
    told = 100 * said / max(1, said + len(silent))
    table = [
        ("circles", len(notes["circles"]), "0", not notes["circles"]),
        (
            "imports of a room that must not be known",
            len(notes["imports of a room that must not be known"]),
            "0",
            not notes["imports of a room that must not be known"],
        ),
        ("lines a module, most", max(lines.values()), "300", max(lines.values()) <= 300),
        (
            "lines an exported cell, middle",
            statistics.median(sizes),
            "10",
            statistics.median(sizes) <= 10,
        ),
        ("lines an exported cell, most", max(sizes), "30", max(sizes) <= 30),
        ("lines a function, most", longest, "40", longest <= 40),
        ("lines over 100 columns", len(wide), "0", not wide),
        ("public names", names, "about 250", names <= 275),
        ("public names in collab_seg", top, "about 40", top <= 45),
        (
            "public definitions used and asserted within two cells, %",
            round(share, 1),
            "95",
            share >= 95,
        ),
        (
            "parameters of public functions that are documented, %",
            round(told, 1),
            "100",
            told == 100,
        ),
        (
            "notebooks with too many code lines",
            len(notes["notebooks with too many code lines"]),
            "0",
            not notes["notebooks with too many code lines"],
        ),
    ]
    return table, notes


def main() -> int:
    table, notes = measure()
    for what, value, wanted, within in table:
        print(f"{'  ' if within else '! '}{what:58} {value!s:>7}   wanted {wanted}")
    if "--check" not in sys.argv:
        for what, value, wanted, within in table:
            if not within and notes.get(what):
                print(f"\n{what}:")
                print(
                    *(f"  {note}" for note in notes[what][: 40 if "-v" not in sys.argv else None]),
                    sep="\n",
                )
    print("\nTo add\n" + "\n".join(f"  {task:28} {place}" for task, place in places()))
    return 0 if all(line[3] for line in table) or "--check" not in sys.argv else 1


if __name__ == "__main__":
    sys.exit(main())
