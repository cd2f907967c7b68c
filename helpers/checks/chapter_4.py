"""The checks of chapter 4: what a Visdom server holds, and what the page asks of Python."""

import json
from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import confusion_matrix
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from helpers.checks.answers import NotYet, called, check
from helpers.visdom import ServerError


@check("a dictionary {name of a window: kilobytes}")
def check_4_1(sizes: dict[str, float], vis) -> str:
    """Whether these are the sizes of the windows of ``gallery`` that ``vis`` sees, in kB."""
    said = {str(name): float(size) for name, size in dict(sizes).items()}
    names = json.loads(vis.get_window_data(env="gallery"))
    truth = {
        name: len(json.dumps(json.loads(vis.get_window_data(name, env="gallery")))) / 1000
        for name in names
    }
    if strangers := said.keys() - truth.keys():
        raise NotYet(
            f"{min(strangers)!r} isn't in gallery. get_window_data without env= answers for main."
        )
    if missing := truth.keys() - said.keys():
        raise NotYet(f"gallery holds more windows than these: {min(missing)!r} for one.")
    ratios = np.array([said[name] / size for name, size in truth.items()])
    rounded = {name: round(size) for name, size in truth.items()}
    if np.allclose(ratios, 1, atol=0.1) or said == rounded:
        return (
            "The box plot sends every number, the histogram only its bars, although they stand "
            "for more numbers still."
        )
    if np.allclose(ratios, 1000, rtol=0.1):
        raise NotYet("These are bytes, or nearly: a kilobyte is a thousand of them.")
    if all(size == int(size) < 20 for size in said.values()):
        raise NotYet(
            "len of a dictionary counts its keys. How long is it once it is text, as it travels?"
        )
    raise NotYet("Take the length of json.dumps of each window, and nothing else.")


@check('a list of names of environments, such as ["main"]')
def check_4_2(left: list[str]) -> str:
    """Whether these environments are there after a restart with ``kept`` saved."""
    if isinstance(left, str):
        raise TypeError("a name and no list of names")
    said = {str(name) for name in left}
    if said == {"kept", "main"}:
        return "What was saved is there; what wasn't is gone; main is always there, and empty."
    if any(name.endswith(".json") for name in said):
        raise NotYet("These are files in the folder. What does the server itself list?")
    if "lost" in said:
        raise NotYet(
            "lost is still there: either it was saved too, or you asked the first server, which "
            "had never stopped."
        )
    if "kept" not in said:
        raise NotYet(
            "kept is missing. save takes a list of names, and has to be called while the server "
            "runs; and the second server needs the same folder."
        )
    raise NotYet("Nearly. One environment is there that you never made: list them, don't guess.")


@check("the window's name, text; it is to be in the environment exercises")
def check_4_3(window: str, vis, truth: Tensor, answers: Tensor) -> str:
    """Whether this window of ``exercises`` shows which class was taken for which.

    ``truth`` and ``answers`` are int64 (N,).
    """
    if not isinstance(window, str):
        raise TypeError("no text")
    try:
        found = json.loads(vis.get_window_data(window, env="exercises"))
    except ServerError:
        raise NotYet(
            f"The environment exercises has no window {window!r}. Did you give env=?"
        ) from None
    if found["type"] != "plot" or (trace := found["content"]["data"][0])["type"] != "heatmap":
        kind = found["type"] if found["type"] != "plot" else trace["type"]
        raise NotYet(f"The window is there, and is of type {kind}; a heatmap is asked for.")
    shown = np.array(trace["z"], dtype=float)
    if np.isnan(shown.diagonal()).all():
        np.fill_diagonal(shown, 0)  # left out in another way
    counts = confusion_matrix(truth, answers, labels=range(len(shown)))
    mistakes = counts * (1 - np.eye(len(counts), dtype=int))
    if np.array_equal(shown, counts):
        raise NotYet(
            "The diagonal is still there. It is so large that all the mistakes look alike beside "
            "it."
        )
    if np.array_equal(shown, mistakes.T) and not np.array_equal(mistakes, mistakes.T):
        raise NotYet("Rows and columns are the wrong way round: a row is a true digit.")
    if shown.max() <= 1 < mistakes.max():
        raise NotYet("These are shares. How many images are meant, so leave them as counts.")
    if not np.array_equal(shown, mistakes):
        raise NotYet("Count, for each true digit and each answer, the test images; no others.")
    if not all(trace.get(side) for side in "xy"):
        raise NotYet("The numbers are right. Which row is which digit? rownames, columnnames.")
    return "The brightest square is the pair that is confused most, and it isn't symmetric."


@check("the place of an image among the test images, a whole number")
def check_4_4(index: int, model: nn.Module, test: TensorDataset) -> str:
    """Whether this test image gets a wrong answer with more confidence than any other."""
    index, (images, labels) = int(index), test.tensors
    place = next((parameter.device for parameter in model.parameters()), "cpu")
    with torch.inference_mode():
        logits = torch.cat([model(part.to(place)).cpu() for part in images.split(250)])
    logits = logits.double().nan_to_num()
    sure, answers = logits.softmax(1).max(1)
    wrong = (answers != labels).nonzero()[:, 0]
    truth = wrong[sure[wrong].argmax()].item()
    if index == truth:
        return "Look at it. Would you have known? The network was certain."
    if not 0 <= index < len(labels):
        raise NotYet(f"There are {len(labels)} test images, and this is none of their places.")
    if index == sure[wrong].argmax():
        raise NotYet(
            "That is its place among the wrong answers. Which test image is that one? Go back the "
            "way that you came."
        )
    if answers[index] == labels[index]:
        raise NotYet("This one was answered right. Look among the wrong answers only.")
    if index == wrong[sure[wrong].argmin()]:
        raise NotYet("That is the wrong answer that it was least sure of.")
    raise NotYet("The answer was wrong, but some other wrong answer got a higher probability.")


@check("a function on_stop(event)")
def check_4_5(on_stop: Callable, stop: dict) -> str:
    """Whether ``on_stop`` sets ``stop["asked"]`` when the button, field 1 of a form, is pressed."""

    def asked(**event) -> bool:
        stop["asked"] = False
        called(on_stop, {"eid": "exercises", "target": "stop"} | event)
        return stop["asked"] is True

    try:
        pressed = asked(event_type="PropertyUpdate", propertyId=1, value="clicked")
        typed = asked(event_type="PropertyUpdate", propertyId=0, value="5")
        third = asked(event_type="PropertyUpdate", propertyId=2, value="clicked") and not pressed
        key = asked(event_type="KeyPress", key="a")
    finally:
        stop["asked"] = False
    if third:
        raise NotYet("The button is the second field, and the first has the number 0.")
    if not pressed:
        raise NotYet(
            'The button was pressed, and stop["asked"] is still False. A name that is assigned '
            "inside a function is the function's own; an entry of a dictionary isn't."
        )
    if typed:
        raise NotYet(
            "Somebody typed a number into the other field, and the run stopped. An event says "
            "which field it comes from."
        )
    if key:
        raise NotYet("Somebody pressed a key over the pane, and the run stopped.")
    return 'A training loop that looks at stop["asked"] after each step can be ended by a click.'
