"""The client: data and options as one writes them, without noise, without surprises."""

import json
import threading
import urllib.request
import warnings

import numpy as np
import pytest
import torch
import websocket

from helpers.visdom import ServerError, VisdomServer
from tests.helpers.conftest import other_web_server, process


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with VisdomServer(tmp_path_factory.mktemp("environments")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    return server.client()


def traces(client, win):
    return json.loads(client.get_window_data(win))["content"]["data"]


DATA = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    "kind",
    [
        torch.tensor,
        lambda data: torch.tensor(data, requires_grad=True),
        lambda data: torch.nn.Parameter(torch.tensor(data)),
        np.array,
    ],
    ids=["tensor", "tensor with gradient", "parameter", "array"],
)
def test_data_of_any_kind_go_in_without_a_warning(client, kind, capfd):
    data = kind(DATA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.scatter(data, win="scatter")
        client.scatter(X=data, Y=np.array([1, 2, 1]), win="labelled")
        client.line(data, X=kind([1.0, 2.0, 3.0]), win="line")
        client.heatmap(data, win="heatmap")
        client.image(kind([[0.0, 1.0], [0.5, 0.2]]), win="image")
    assert [trace["x"] for trace in traces(client, "scatter")] == [[0, 2, 4]]
    assert [trace["x"] for trace in traces(client, "labelled")] == [[0, 4], [2]]
    assert [trace["y"] for trace in traces(client, "line")] == [[0, 2, 4], [1, 3, 5]]
    assert traces(client, "heatmap")[0]["z"] == DATA
    assert capfd.readouterr() == ("", "")


def test_options_may_be_lists_arrays_or_tensors(client):
    client.line(
        torch.tensor(DATA),
        X=torch.arange(3),
        win="options",
        opts={
            "legend": np.array(["up", "down"]),
            "dash": ["solid", "dash"],
            "linecolor": torch.tensor([[255, 0, 0], [0, 0, 255]]),
        },
    )
    drawn = traces(client, "options")
    assert [trace["name"] for trace in drawn] == ["up", "down"]
    assert [trace["line"]["dash"] for trace in drawn] == ["solid", "dash"]
    assert [trace["line"]["color"] for trace in drawn] == ["#ff0000", "#0000ff"]


def test_options_are_left_as_they_were(client):
    opts = {"title": "same", "legend": ["a", "b"], "dash": np.array(["solid", "dash"])}
    before = dict(opts)
    for win in ("first", "second"):
        client.line(torch.tensor(DATA), X=torch.arange(3), win=win, opts=opts)
        client.stem(torch.tensor(DATA), win=f"{win} stems", opts=opts)
    assert opts.keys() == before.keys()
    assert all(opts[name] is before[name] for name in opts)
    assert [t["line"] for t in traces(client, "second")] == [
        t["line"] for t in traces(client, "first")
    ]


def test_a_line_goes_on_behind_a_gap(client):
    for step, loss in enumerate([1.0, float("nan"), float("inf"), 2.0]):
        client.line(torch.tensor(loss), X=step, win="gap", name="loss", update="append")
    (trace,) = traces(client, "gap")
    assert trace["x"][0] == 0
    assert trace["x"][-1] == 3
    assert [y for y in trace["y"] if y is not None] == [1, 2]


def test_what_cannot_be_drawn_is_refused_before_anything_is_sent(client):
    with pytest.raises(ValueError, match="pie: X holds 1 NaN or infinite numbers"):
        client.pie([1.0, float("inf")], win="infinite")
    assert not client.win_exists("infinite")


def test_text_that_is_appended_to_nothing_begins_a_window(client):
    for line in ("one", "two", "three"):
        client.text(line, win="log", env="a new one", append=True)
    window = json.loads(client.get_window_data("log", env="a new one"))
    assert window["content"] == "one<br>two<br>three"


def test_closing_what_is_not_there_does_nothing(client):
    client.close(win="no window", env="no environment")
    client.text("note", win="closed", env="closing")
    client.close(win="closed", env="closing")
    client.close(win="closed", env="closing")
    assert json.loads(client.get_window_data(env="closing")) == {}
    assert "no environment" not in client.get_env_list()


def test_every_drawing_method_of_visdom_is_covered(client):
    for name in ("scatter", "line", "image", "images", "text", "heatmap", "pie", "mesh", "surf"):
        assert getattr(type(client), name).__wrapped__ is getattr(type(client).__base__, name)


def test_events_reach_python_in_order(server, client):
    heard, last = [], threading.Event()

    def on_event(event):
        heard.append(event["key"])
        if event["key"] == "c":
            last.set()

    client.text("press a key", win="keys")
    client.register_event_handler(on_event, "keys")
    page = websocket.create_connection(server.url.replace("http", "ws") + "socket", timeout=20)
    for key in "abc":
        press = {"event_type": "KeyPress", "key": key, "target": "keys", "eid": "main"}
        page.send(json.dumps({"cmd": "forward_to_vis", "data": press}))
    assert last.wait(20)
    page.close()
    assert heard == ["a", "b", "c"]


# ---- the client and its server ----


def test_what_a_client_draws_can_be_read_back(visdom):
    client = visdom.client(env="drawn")
    assert client.line([1.0, 4.0, 9.0], X=[1, 2, 3], win="squares") == "squares"
    (trace,) = json.loads(client.get_window_data("squares"))["content"]["data"]
    assert (trace["x"], trace["y"]) == ([1, 2, 3], [1.0, 4.0, 9.0])
    assert {"main", "drawn"} <= set(client.get_env_list())


def test_a_client_says_in_a_sentence_that_the_server_died(tmp_path):
    with VisdomServer(tmp_path) as server:
        client = server.client()
        process(server).kill()
        server._process.wait()
        with pytest.raises(ServerError, match="doesn't answer: it was stopped, or died") as info:
            client.text("anyone there?")
        assert info.value.__suppress_context__
        assert "saved is there again" in str(info.value)
        with pytest.raises(ServerError, match="stopped, or died"):
            server.client()


def test_a_client_notices_another_web_server(visdom, monkeypatch):
    with other_web_server() as port:
        monkeypatch.setattr(visdom, "port", port)
        with pytest.raises(ServerError, match=f"{port} isn't Visdom"):
            visdom.client()


def test_the_client_says_what_visdom_refuses(visdom):
    with pytest.raises(ServerError, match=r"refuses 'win_data'.*is there a window"):
        visdom.client().get_window_data("never drawn")


def test_the_client_says_what_the_server_has_to_say(visdom):
    with pytest.raises(ServerError, match=r"refuses 'events' because 'a/b': an environment's name"):
        visdom.client().text("hello", env="a/b")


def test_the_client_hears_what_is_pressed_in_the_page(visdom):
    client = visdom.client(env="heard")
    heard = threading.Event()
    client.register_event_handler(lambda event: heard.set(), "note")
    client.text("press", win="note")
    page = websocket.create_connection(visdom.url.replace("http", "ws") + "socket", timeout=20)
    press = {"event_type": "KeyPress", "key": "a", "target": "note", "eid": "heard"}
    page.send(json.dumps({"cmd": "forward_to_vis", "data": press}))
    assert heard.wait(20)
    page.close()


def test_the_proxys_environment_is_left_out_of_it(tmp_path, monkeypatch):
    """A proxy for the web, as many networks have, leads nowhere near this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with VisdomServer(tmp_path) as server:
        assert server.client().text("hello", win="greeting") == "greeting"
    assert "http" in urllib.request.getproxies()
