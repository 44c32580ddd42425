"""nbval takes a cell with outputs and no execution count for unrun; nbdev_clean removes counts."""


def pytest_collection_modifyitems(items):
    for item in items:
        cell = getattr(item, "cell", None)
        if (
            cell is not None
            and cell.get("cell_type") == "code"
            and cell.get("execution_count") is None
        ):
            cell.execution_count = 1
