"""What the checks of all assignments share: run a check on an answer, and say in one line what came out."""

import contextlib
import io
import os
import traceback
import warnings

import torch

RIGHT, NOT_DONE = "right", "not done yet"


class Wrong(Exception):
    """What is wrong with an answer, in one line."""


class NotDone(Exception):
    """The answer is still the stub, which returns None."""


def outcome(check, answer, seed: int = 0) -> str:
    """`right`, `not done yet`, or what is wrong; never raises."""
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stderr(io.StringIO()):
            check(_asked(answer), seed)
    except NotDone:
        return NOT_DONE
    except Wrong as error:
        return str(error)
    except Exception as error:
        return f"your code raised {type(error).__name__}: {_first_line(error)}{_place(error)}"
    return RIGHT


def tell(check, answer) -> None:
    """Print what a check says. For you; gives no points."""
    print(f"{check.__name__}: {outcome(check, answer)}")


def must(check, answer, seeds=range(4)) -> None:
    """Raise Wrong unless a check says `right` for several inputs. For grading."""
    for seed in seeds:
        said = outcome(check, answer, seed)
        if said != RIGHT:
            raise Wrong(f"{check.__name__}: {said}")


def draw(picture, *answers) -> None:
    """Show the picture that your functions make, or say in one line why there is none. Gives no points."""
    if os.environ.get("NBGRADER_EXECUTION"):
        return print("not drawn while grading")
    import matplotlib.pyplot as plt  # takes a second

    first, *others = answers
    said = outcome(lambda asked, _: picture(asked, *map(_asked, others)), first)
    if said == RIGHT:
        with warnings.catch_warnings(action="ignore"):
            plt.show()
    else:
        plt.close("all")  # what is half drawn
        print(f"no picture: {said}")


def _first_line(error) -> str:
    return (str(error).strip() or "no message").splitlines()[0]


def _place(error) -> str:
    """The last line of the learner's own code, if the error came from there."""
    ours = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and not frame.filename.endswith(("checking.py", "checks.py"))
    ]
    return f" (at `{ours[-1].line or ours[-1].name}`)" if ours else ""


def _asked(answer):
    """The answer, raising NotDone where it returns None."""

    def ask(*args, **kwargs):
        got = answer(*args, **kwargs)
        if got is None:
            raise NotDone
        return got

    return ask


def need(ok, message: str) -> None:
    """Raise Wrong with this message unless ok."""
    if not ok:
        raise Wrong(message)


def need_tensor(got, shape, what: str = "your result") -> None:
    """The answer must be a tensor of this shape."""
    need(isinstance(got, torch.Tensor), f"{what} is a {type(got).__name__}; needed: a tensor")
    need(tuple(got.shape) == tuple(shape), f"{what} has shape {tuple(got.shape)}; needed: {tuple(shape)}")


def need_pair(got, what: str) -> None:
    """The answer must be two things."""
    need(
        isinstance(got, (tuple, list)) and len(got) == 2,
        f"you return {type(got).__name__}; needed: two things, {what}",
    )


def need_close(got, wanted, why: str, tolerance: float = 1e-5) -> None:
    """Two tensors must agree; NaN agrees with NaN. The message shows the first place where they do not."""
    need_tensor(got, wanted.shape)
    got, wanted = got.detach().double(), wanted.detach().double()
    bad = ~torch.isclose(got, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)
    if bad.any():
        place = tuple(bad.nonzero()[0].tolist())
        where = f" at {list(place)}" if place else ""
        raise Wrong(f"{why}:{where} yours is {got[place]:.4g}, needed {wanted[place]:.4g}")


def random_logits(seed: int, *shape, gradient: bool = False):
    """Normal numbers in float64, the same for the same seed."""
    x = 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return x.requires_grad_() if gradient else x


def random_label(seed: int, classes: int, *shape):
    """Labels from 0 to classes - 1, none of them void."""
    return torch.randint(0, classes, shape, generator=torch.Generator().manual_seed(seed + 1000))


# For the pictures -----------------------------------------------------------------------------------------------------
def show_maps(pictures: dict, label: str, low=None, high=None, cmap="viridis"):
    """Maps of numbers side by side, title -> (h, w), each with its colour bar; returns the figure."""
    import matplotlib.pyplot as plt

    size = (2.9 * len(pictures), 2.4)
    figure, axes = plt.subplots(1, len(pictures), figsize=size, layout="constrained", squeeze=False)
    for axis, (title, values) in zip(axes[0], pictures.items()):
        values = torch.as_tensor(values).detach().numpy()
        image = axis.imshow(values, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
        axis.set(title=title, xticks=[], yticks=[])
        figure.colorbar(image, ax=axis, label=label, shrink=0.8)
    return figure


def show_teachers(axes, masks: dict, words=("the CNN teaches", "the ViT teaches", "nobody", "void")) -> None:
    """Who teaches where, title -> (to_cnn, to_vit, valid), each (B, h, w) bool: of the first image, with a legend."""
    from matplotlib.patches import Patch

    from collab_seg.show import NOBODY, STUDENTS, teacher_picture

    for axis, (title, maps) in zip(axes, masks.items()):
        axis.imshow(teacher_picture(dict(zip(("to_cnn", "to_vit", "valid"), maps)), 0), interpolation="nearest")
        axis.set(title=title, xticks=[], yticks=[])
    colours = STUDENTS["cnn"].hex, STUDENTS["vit"].hex, "#{:02x}{:02x}{:02x}".format(*NOBODY), "black"
    handles = [Patch(color=colour, label=name) for name, colour in zip(words, colours) if name]
    axis.figure.legend(handles=handles, loc="outside lower center", ncols=4)
