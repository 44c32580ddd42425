"""A first look at the explorer for the site: a stored run at three ages and three region sizes, drawn beforehand."""

import base64
import html

from collab_seg.data.views import normalize
from collab_seg.show import png_bytes
from collab_seg.use.explore_html import legend_html
from collab_seg.use.lessons import TITLES, Snapshots, View, example_runs, pictures, see_image
from collab_seg.use.lessons_words import sentences

AGES, SIZES, SHOWN = (24, 216, 600), (1, 4, 8), ("cnn", "vit", "disagree", "region")
TEXT = """# A first look at the explorer

Two students were trained together, and kept at several ages. Choose an age and a region size by mouse or arrow keys: who is right, and who would teach whom? These nine views were drawn beforehand, of one street that the students never saw. [Chapter 13](chapters/course/13_explorer.ipynb) has all sliders, and shows your own runs.
"""


def choices(name: str, words: str, values, chosen) -> list[str]:
    """One radio button a value; arrow keys go from one to the next."""
    lines = [f'<span class="ex-word">{words}</span>']
    for value in values:
        mark = " checked" if value == chosen else ""
        lines += [
            f'<input type="radio" name="{name}" id="{name}{value}" aria-label="{words} {value}"{mark}>',
            f'<label for="{name}{value}">{value}</label>',
        ]
    return [*lines, "<br>"]


def figure(title: str, sentence: str, picture) -> str:
    """A picture; its sentence is shown below it and is its alternative text too."""
    data, sentence = base64.b64encode(png_bytes(picture)).decode(), html.escape(sentence)
    return (
        f'<figure><b>{html.escape(title)}</b><img alt="{sentence}" src="data:image/png;base64,{data}">'
        f'<figcaption aria-hidden="true">{sentence}</figcaption></figure>'
    )


def explorer_page() -> str:
    """The page as markdown with HTML in it: no script, and nothing is fetched."""
    run = Snapshots(example_runs()[2])
    image, truth = run.scenes()[10]
    rules, views = [], []
    for age in AGES:
        cnn, vit, source = run.students(age)
        seen = see_image(cnn, vit, normalize(image)[None], truth)
        for size in SIZES:
            view = View(region_size=size)
            drawn, said = (
                pictures(seen, view, source.palette),
                sentences(seen, view, source.classes),
            )
            figures = (figure(TITLES[name], said[name], drawn[name]) for name in SHOWN)
            views.append(f'<div class="ex-view age{age} size{size}">{"".join(figures)}</div>')
            rules.append(f"#age{age}:checked~#size{size}:checked~.age{age}.size{size}")
    street = "".join(figure(TITLES[name], said[name], drawn[name]) for name in ("image", "truth"))
    style = (
        ".ex-view{display:none}.ex-view,.ex-street{flex-wrap:wrap;gap:1em}.ex-street{display:flex}"
        f"{','.join(rules)}{{display:flex}}.ex figure{{margin:0;flex:1 1 240px;max-width:340px}}"
        ".ex img{width:100%;image-rendering:pixelated}.ex figcaption{font-size:.7rem;max-width:none}"
        ".ex-word{display:inline-block;min-width:9em}.ex label{margin-right:1em}"
        ".ex .sw{display:inline-block;width:1em;height:1em;margin:0 .3em;border:1px solid #666}"
    )
    controls = choices("age", "steps of training", AGES, 600) + choices(
        "size", "region size", SIZES, 4
    )
    parts = [
        f"<style>{style}</style>",
        '<div class="ex">',
        f'<div class="ex-street">{street}</div>',
    ]
    parts += [*controls, *views, legend_html(source), "</div>"]
    return TEXT + "\n" + "\n".join(parts) + "\n"
