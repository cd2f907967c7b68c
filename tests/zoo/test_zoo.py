"""Networks that no one here wrote, held against the layers that ran: make zoo."""

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
from torch import nn
from torch_geometric import nn as gnn
from transformers import AutoConfig, AutoModel

from helpers import hiddenlayer as hl
from tests.zoo.hooks import KINDS, layers_drawn, layers_that_ran

pytestmark = pytest.mark.filterwarnings("ignore")


def check(model, args=(), kwargs=None):
    """A node for each call of a layer, nothing left behind, and something to see at each depth."""
    model = model.eval()
    ran = layers_that_ran(model, args, kwargs or {})
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    drawn = layers_drawn(hl.build_graph(model, args, None, None, kwargs=kwargs), model)
    assert drawn == ran
    assert sum(drawn.values()) > 2
    torch.testing.assert_close(before, dict(model.state_dict()), rtol=0, atol=0)
    for depth in (1, 2):
        assert hl.build_graph(model, args, depth=depth, kwargs=kwargs).nodes


# ---- transformers ----

SMALL = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
}
GROUPED = {**SMALL, "num_key_value_heads": 2}
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
PAIR = {
    "vocab_size": 100,
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}
OLD = {"vocab_size": 100, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
LANGUAGE = {
    **dict.fromkeys(("bert", "roberta", "electra", "albert", "mpnet", "camembert", "ernie"), SMALL),
    **dict.fromkeys(("deberta", "deberta-v2", "phi", "gpt_neox", "falcon", "mobilebert"), SMALL),
    **dict.fromkeys(("llama", "mistral", "qwen2"), GROUPED),
    **{name: {**GROUPED, "head_dim": 8} for name in ("qwen3", "gemma", "gemma2")},
    "mixtral": {**GROUPED, "num_local_experts": 4},
    "gpt2": OLD,
    "gptj": {**OLD, "rotary_dim": 4},
    "bloom": {"vocab_size": 100, "hidden_size": 32, "n_layer": 2, "n_head": 4},
    "opt": {**SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "mamba": {"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
    "distilbert": {
        **{"vocab_size": 100, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
        "max_position_embeddings": 64,
    },
    "xlnet": {"vocab_size": 100, "d_model": 32, "n_layer": 2, "n_head": 4, "d_inner": 64},
    "longformer": {**SMALL, "attention_window": 4},
}
OTHERS = {
    "t5": {
        **{"vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2},
        **{"num_heads": 4, "decoder_start_token_id": 0, "pad_token_id": 0},
    },
    "bart": {**PAIR, "max_position_embeddings": 64},
    "whisper": {
        **{**PAIR, **TOKENS, "decoder_start_token_id": 1, "num_mel_bins": 8},
        **{"max_source_positions": 16, "max_target_positions": 16},
    },
    "clip": {"text_config": {**SMALL, **TOKENS}, "vision_config": VISION},
    "vit": VISION,
    "deit": VISION,
    "dinov2": VISION,
    "convnext": {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1]},
    "wav2vec2": {
        **{**SMALL, "num_feat_extract_layers": 2},
        **{"conv_dim": [8, 8], "conv_stride": [2, 2], "conv_kernel": [3, 3]},
    },
}


@pytest.mark.parametrize("name", [*LANGUAGE, *OTHERS])
def test_transformers(name):
    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(name, **(LANGUAGE | OTHERS)[name]))
    words = torch.arange(3, 11)[None]
    kwargs = {"input_ids": words}
    if name in ("t5", "bart"):
        kwargs["decoder_input_ids"] = words
    elif name == "whisper":
        kwargs = {"input_features": torch.rand(1, 8, 32), "decoder_input_ids": words}
    elif name == "wav2vec2":
        kwargs = {"input_values": torch.rand(1, 400)}
    elif name in OTHERS:
        images = {"pixel_values": torch.rand(1, 3, 32, 32)}
        kwargs = (kwargs if name == "clip" else {}) | images
    check(model, kwargs=kwargs)


def test_a_cache_goes_in_and_stays_as_it_is():
    config = AutoConfig.for_model("llama", **GROUPED)
    model = AutoModel.from_config(config).eval()
    with torch.no_grad():
        cache = model(torch.zeros(1, 4, dtype=torch.int64)).past_key_values
    kwargs = {"input_ids": torch.zeros(1, 1, dtype=torch.int64), "past_key_values": cache}
    graph = hl.build_graph(model, kwargs, None, None)
    assert sum(node.op == "Concat" for node in graph.nodes.values()) >= 4
    assert cache.get_seq_length() == 4
    assert type(cache.layers[0].keys) is torch.Tensor


# ---- timm ----


def smallest(names):
    """Of a family, one that is small, by its name."""
    for part in (
        "test_",
        "atto",
        "femto",
        "pico",
        "nano",
        "xxs",
        "tiny",
        "_t",
        "small",
        "18",
        "50",
    ):
        found = [name for name in names if part in name]
        if found:
            return min(found, key=len)
    return min(names, key=len)


FAMILIES = {module: timm.list_models(module=module) for module in timm.list_modules()}
TIMM = {module: smallest(names) for module, names in FAMILIES.items() if names}
LARGE = ("deepseek_vit", "gemma4", "mobilenetv5", "naflexvit", "senet", "vgg")
"""Families without a small network, by the beginnings of their names."""


@pytest.mark.parametrize("family", [f for f in TIMM if not TIMM[f].startswith(LARGE)])
def test_timm(family):
    model = timm.create_model(TIMM[family], pretrained=False)
    size = model.default_cfg.get("input_size", (3, 224, 224))
    check(model, (torch.rand(1, *size),))


# ---- segmentation_models_pytorch, torch_geometric ----


DECODERS = "Unet UnetPlusPlus FPN PSPNet DeepLabV3 DeepLabV3Plus Linknet MAnet UPerNet Segformer"


@pytest.mark.parametrize("name", DECODERS.split())
def test_segmentation_models(name):
    check(getattr(smp, name)("resnet18", encoder_weights=None), (torch.rand(1, 3, 64, 64),))


X, LINKS = torch.rand(5, 8), torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 3, 4, 0, 2]])


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.out = gnn.GCN(8, 16, 2), nn.Linear(16, 2)

    def forward(self, x, links, batch):
        return self.out(gnn.global_mean_pool(self.body(x, links), batch))


@pytest.mark.parametrize("name", ["GCN", "GraphSAGE", "GIN", "GAT", "EdgeCNN"])
def test_graph_networks(name, monkeypatch):
    monkeypatch.setitem(KINDS, gnn.Linear, KINDS[nn.Linear])  # a layer of its own
    check(getattr(gnn, name)(8, 16, 3, 4), (X, LINKS))


def test_a_pooled_graph_network(monkeypatch):
    monkeypatch.setitem(KINDS, gnn.Linear, KINDS[nn.Linear])
    check(Pooled(), (X, LINKS, torch.tensor([0, 0, 0, 1, 1])))
