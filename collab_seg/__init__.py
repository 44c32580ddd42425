"""Two students, a CNN and a ViT, learn semantic segmentation together and teach each other."""

__version__ = "0.1.0"

# Where each public name lives. A name is imported when it is first used, so that
# `import collab_seg` takes milliseconds and PyTorch is loaded only by what needs it.
_HOME = {
    "Config": "config",
    "DataConfig": "config",
    "StudentConfig": "config",
    "DistillConfig": "config",
    "OptimConfig": "config",
    "PRESETS": "presets",
    "StudentOutput": "core",
    "Directed": "core",
    "UserError": "core",
    "Scenes": "data.scenes",
    "Source": "data.base",
    "SOURCES": "data.base",
    "get_source": "data.sources",
    "open_source": "data.sources",
    "register": "data.base",
    "convert": "data.parquet",
    "Confusion": "training.metrics",
    "confusion_matrix": "training.metrics",
    "score": "training.metrics",
    "Student": "students.base",
    "cnn_student": "students.cnn",
    "vit_student": "students.vit",
    "build_students": "students.build",
    "load_students": "training.run",
    "HFD": "losses.hfd",
    "DistillationLoss": "losses.base",
    "RegionBSD": "losses.region",
    "PixelBSD": "losses.pixel",
    "TERMS": "losses.methods",
    "METHODS": "losses.methods",
    "evaluate": "training.evaluate",
    "score_table": "training.scores",
    "predict_image": "use.predict",
    "predict_files": "use.predict",
    "train": "training.loop",
    "method_rows": "losses.methods",
    "add_loss": "losses.methods",
    "read_study": "studies.plan",
    "run_study": "studies.work",
    "reproduce": "studies.reproduce",
    "PretrainedStudent": "use.deploy",
    "read_results": "studies.results",
    "make_table": "studies.tables",
    "write_report": "studies.report",
}
__all__ = [*_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'collab_seg' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"collab_seg.{_HOME[name]}"), name)


def __dir__():
    return sorted([*globals(), *_HOME])
