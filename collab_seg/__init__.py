"""Two students, a CNN and a ViT, learn semantic segmentation together and teach each other."""

__version__ = "0.1.0"

# Where each public name lives. A name is imported when it is first used, so that `import collab_seg`
# takes milliseconds and PyTorch is loaded only by what needs it.
_HOME = {
    "Config": "core", "DataConfig": "core", "StudentConfig": "core", "DistillConfig": "core",
    "OptimConfig": "core", "PRESETS": "core", "StudentOutput": "core", "Directed": "core", "UserError": "core",
    "Scenes": "data", "Source": "data", "SOURCES": "data", "get_source": "data", "open_source": "data",
    "register": "data", "convert": "own_data",
    "Confusion": "metrics", "confusion_matrix": "metrics", "score": "metrics",
    "Student": "cnn", "cnn_student": "cnn", "vit_student": "vit", "build_students": "vit", "load_students": "vit",
    "HFD": "hfd", "DistillationLoss": "hfd", "RegionBSD": "bsd_region", "PixelBSD": "bsd_pixel",
    "LOSSES": "train", "METHODS": "train", "evaluate": "train", "score_table": "train",
    "predict_image": "predict", "predict_files": "predict", "train": "train", "methods_table": "peers", "add_peer": "peers",
    "read_study": "experiments", "run_study": "experiments", "reproduce": "experiments",
    "PretrainedStudent": "deploy", "read_results": "compare", "make_table": "tables", "write_report": "results",
}
__all__ = [*_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'collab_seg' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"collab_seg.{_HOME[name]}"), name)


def __dir__():
    return sorted([*globals(), *_HOME])
