"""Names and shapes of the tensors of Stable Diffusion's checkpoints in their original layout, at any size.

Written down from the published networks' definitions (CompVis latent-diffusion, Stability's generative-models,
OpenCLIP), as facts: with the real sizes they are the real files' tensors, with small ones a test can make whole models.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

Shape = tuple[int, ...]
Named = Iterator[tuple[str, Shape]]


@dataclass(frozen=True)
class UNetLayout:
    """`depths`: transformer blocks per attention by level, 0 for none; `adm`: width of what is told besides."""

    channels: int
    factors: tuple[int, ...]
    depths: tuple[int, ...]
    middle_depth: int
    context: int
    linear: bool
    adm: int = 0
    in_channels: int = 4
    res_blocks: int = 2

    def shapes(self) -> dict[str, Shape]:
        embedding = self.channels * 4
        found: dict[str, Shape] = {}
        for name, inside in (("time_embed", self.channels), ("label_emb.0", self.adm)):
            if inside:
                found |= dict(chain(linear(f"{name}.0", inside, embedding), linear(f"{name}.2", embedding, embedding)))
        found |= dict(conv("input_blocks.0.0", self.in_channels, self.channels))
        widths, width, number, last = [self.channels], self.channels, 1, len(self.factors) - 1
        for level, factor in enumerate(self.factors):
            for _ in range(self.res_blocks):
                found |= self._block(f"input_blocks.{number}", width, self.channels * factor, self.depths[level])
                width = self.channels * factor
                widths.append(width)
                number += 1
            if level != last:
                found |= dict(conv(f"input_blocks.{number}.0.op", width, width))
                widths.append(width)
                number += 1
        found |= dict(self._residual("middle_block.0", width, width))
        found |= dict(self._transformer("middle_block.1", width, self.middle_depth))
        found |= dict(self._residual("middle_block.2", width, width))
        number = 0
        for level in range(last, -1, -1):
            for place in range(self.res_blocks + 1):
                wide = self.channels * self.factors[level]
                found |= self._block(f"output_blocks.{number}", width + widths.pop(), wide, self.depths[level])
                width = wide
                if level and place == self.res_blocks:
                    found |= dict(conv(f"output_blocks.{number}.{2 if self.depths[level] else 1}.conv", width, width))
                number += 1
        return found | dict(chain(norm("out.0", width), conv("out.2", width, 4)))

    def _block(self, name: str, inside: int, outside: int, depth: int) -> dict[str, Shape]:
        found = dict(self._residual(f"{name}.0", inside, outside))
        return found | dict(self._transformer(f"{name}.1", outside, depth)) if depth else found

    def _residual(self, name: str, inside: int, outside: int) -> Named:
        yield from norm(f"{name}.in_layers.0", inside)
        yield from conv(f"{name}.in_layers.2", inside, outside)
        yield from linear(f"{name}.emb_layers.1", self.channels * 4, outside)
        yield from norm(f"{name}.out_layers.0", outside)
        yield from conv(f"{name}.out_layers.3", outside, outside)
        if inside != outside:
            yield from conv(f"{name}.skip_connection", inside, outside, 1)

    def _transformer(self, name: str, width: int, depth: int) -> Named:
        project = linear if self.linear else lambda place, i, o: conv(place, i, o, 1)
        yield from norm(f"{name}.norm", width)
        yield from project(f"{name}.proj_in", width, width)
        for number in range(depth):
            block = f"{name}.transformer_blocks.{number}"
            for attention, read in (("attn1", width), ("attn2", self.context)):
                yield f"{block}.{attention}.to_q.weight", (width, width)
                yield f"{block}.{attention}.to_k.weight", (width, read)
                yield f"{block}.{attention}.to_v.weight", (width, read)
                yield from linear(f"{block}.{attention}.to_out.0", width, width)
            yield from linear(f"{block}.ff.net.0.proj", width, width * 8)
            yield from linear(f"{block}.ff.net.2", width * 4, width)
            for place in (1, 2, 3):
                yield from norm(f"{block}.norm{place}", width)
        yield from project(f"{name}.proj_out", width, width)


@dataclass(frozen=True)
class VaeLayout:
    channels: int = 128
    factors: tuple[int, ...] = (1, 2, 4, 4)

    def shapes(self) -> dict[str, Shape]:
        found: dict[str, Shape] = {}
        widths = [self.channels * factor for factor in self.factors]
        width, last = self.channels, len(widths) - 1
        found |= dict(conv("encoder.conv_in", 3, width))
        for level, wide in enumerate(widths):
            for place in range(2):
                found |= dict(self._residual(f"encoder.down.{level}.block.{place}", width, wide))
                width = wide
            if level != last:
                found |= dict(conv(f"encoder.down.{level}.downsample.conv", width, width))
        found |= dict(self._ends("encoder", width))
        found |= dict(chain(norm("encoder.norm_out", width), conv("encoder.conv_out", width, 8)))
        found |= dict(chain(conv("decoder.conv_in", 4, width), self._ends("decoder", width)))
        for level in range(last, -1, -1):
            for place in range(3):
                found |= dict(self._residual(f"decoder.up.{level}.block.{place}", width, widths[level]))
                width = widths[level]
            if level:
                found |= dict(conv(f"decoder.up.{level}.upsample.conv", width, width))
        found |= dict(chain(norm("decoder.norm_out", width), conv("decoder.conv_out", width, 3)))
        return found | dict(chain(conv("quant_conv", 8, 8, 1), conv("post_quant_conv", 4, 4, 1)))

    def _residual(self, name: str, inside: int, outside: int) -> Named:
        yield from norm(f"{name}.norm1", inside)
        yield from conv(f"{name}.conv1", inside, outside)
        yield from norm(f"{name}.norm2", outside)
        yield from conv(f"{name}.conv2", outside, outside)
        if inside != outside:
            yield from conv(f"{name}.nin_shortcut", inside, outside, 1)

    def _ends(self, side: str, width: int) -> Named:
        yield from self._residual(f"{side}.mid.block_1", width, width)
        yield from norm(f"{side}.mid.attn_1.norm", width)
        for part in ("q", "k", "v", "proj_out"):
            yield from conv(f"{side}.mid.attn_1.{part}", width, width, 1)
        yield from self._residual(f"{side}.mid.block_2", width, width)


@dataclass(frozen=True)
class TextLayout:
    """A text encoder, under transformers' names or OpenCLIP's; `projection`: it has one for the whole text's vector."""

    width: int
    layers: int
    open_clip: bool = False
    projection: int = 0
    inner: int = 4
    words: int = 49408

    def shapes(self) -> dict[str, Shape]:
        return dict(self._open_clip() if self.open_clip else self._transformers())

    def _transformers(self) -> Named:
        yield "text_model.embeddings.position_ids", (1, 77)
        yield "text_model.embeddings.token_embedding.weight", (self.words, self.width)
        yield "text_model.embeddings.position_embedding.weight", (77, self.width)
        for number in range(self.layers):
            layer = f"text_model.encoder.layers.{number}"
            for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
                yield from linear(f"{layer}.self_attn.{part}", self.width, self.width)
            yield from linear(f"{layer}.mlp.fc1", self.width, self.width * self.inner)
            yield from linear(f"{layer}.mlp.fc2", self.width * self.inner, self.width)
            yield from norm(f"{layer}.layer_norm1", self.width)
            yield from norm(f"{layer}.layer_norm2", self.width)
        yield from norm("text_model.final_layer_norm", self.width)

    def _open_clip(self) -> Named:
        yield "positional_embedding", (77, self.width)
        yield "token_embedding.weight", (self.words, self.width)
        yield "logit_scale", ()
        if self.projection:
            yield "text_projection", (self.width, self.projection)
        for number in range(self.layers):
            layer = f"transformer.resblocks.{number}"
            yield f"{layer}.attn.in_proj_weight", (self.width * 3, self.width)
            yield f"{layer}.attn.in_proj_bias", (self.width * 3,)
            yield from linear(f"{layer}.attn.out_proj", self.width, self.width)
            yield from linear(f"{layer}.mlp.c_fc", self.width, self.width * self.inner)
            yield from linear(f"{layer}.mlp.c_proj", self.width * self.inner, self.width)
            yield from norm(f"{layer}.ln_1", self.width)
            yield from norm(f"{layer}.ln_2", self.width)
        yield from norm("ln_final", self.width)


@dataclass(frozen=True)
class MidasLayout:
    """MiDaS's DPT-Hybrid (isl-org/MiDaS, timm's vit_base_resnet50_384): a trunk of convolutions below a transformer.

    `stages`: blocks by stage of the trunk; `side`: patches a side of the squares that it was trained on.
    """

    width: int = 768
    layers: int = 12
    inner: int = 3072
    stem: int = 64
    stages: tuple[int, int, int] = (3, 4, 9)
    side: int = 24
    fusion: int = 256
    labels: int = 1000

    def shapes(self) -> dict[str, Shape]:
        return dict(chain(self._trunk(), self._transformer(), self._neck(), self._head()))

    def _trunk(self) -> Named:
        trunk, inside = "pretrained.model.patch_embed.backbone", self.stem
        yield f"{trunk}.stem.conv.weight", (self.stem, 3, 7, 7)
        yield from norm(f"{trunk}.stem.norm", self.stem)
        for stage, blocks in enumerate(self.stages):
            middle = self.stem << stage
            for number in range(blocks):
                block = f"{trunk}.stages.{stage}.blocks.{number}"
                if not number:
                    yield f"{block}.downsample.conv.weight", (4 * middle, inside, 1, 1)
                    yield from norm(f"{block}.downsample.norm", 4 * middle)
                yield f"{block}.conv1.weight", (middle, inside, 1, 1)
                yield f"{block}.conv2.weight", (middle, middle, 3, 3)
                yield f"{block}.conv3.weight", (4 * middle, middle, 1, 1)
                inside = 4 * middle
                for place, wide in ((1, middle), (2, middle), (3, inside)):
                    yield from norm(f"{block}.norm{place}", wide)
        yield from conv("pretrained.model.patch_embed.proj", inside, self.width, 1)

    def _transformer(self) -> Named:
        yield "pretrained.model.cls_token", (1, 1, self.width)
        yield "pretrained.model.pos_embed", (1, self.side**2 + 1, self.width)
        for number in range(self.layers):
            block = f"pretrained.model.blocks.{number}"
            yield from chain(norm(f"{block}.norm1", self.width), norm(f"{block}.norm2", self.width))
            yield from linear(f"{block}.attn.qkv", self.width, 3 * self.width)
            yield from linear(f"{block}.attn.proj", self.width, self.width)
            yield from linear(f"{block}.mlp.fc1", self.width, self.inner)
            yield from linear(f"{block}.mlp.fc2", self.inner, self.width)
        yield from norm("pretrained.model.norm", self.width)
        yield from linear("pretrained.model.head", self.width, self.labels)

    def _neck(self) -> Named:
        for number in (3, 4):
            yield from linear(f"pretrained.act_postprocess{number}.0.project.0", 2 * self.width, self.width)
            yield from conv(f"pretrained.act_postprocess{number}.3", self.width, self.width, 1)
        yield from conv("pretrained.act_postprocess4.4", self.width, self.width)
        for number, wide in enumerate((4 * self.stem, 8 * self.stem, self.width, self.width), start=1):
            yield f"scratch.layer{number}_rn.weight", (self.fusion, wide, 3, 3)
            yield from conv(f"scratch.refinenet{number}.out_conv", self.fusion, self.fusion, 1)
            for unit in ("resConfUnit1.conv1", "resConfUnit1.conv2", "resConfUnit2.conv1", "resConfUnit2.conv2"):
                yield from conv(f"scratch.refinenet{number}.{unit}", self.fusion, self.fusion)

    def _head(self) -> Named:
        yield from conv("scratch.output_conv.0", self.fusion, self.fusion // 2)
        yield from conv("scratch.output_conv.2", self.fusion // 2, 32)
        yield from conv("scratch.output_conv.4", 32, 1, 1)


@dataclass(frozen=True)
class CheckpointLayout:
    """A whole single file; `texts` by the prefix under which they stand."""

    unet: UNetLayout
    texts: dict[str, TextLayout]
    vae: VaeLayout = field(default_factory=VaeLayout)
    depth: MidasLayout | None = None

    def __hash__(self) -> int:
        return hash((self.unet, tuple(self.texts.items()), self.vae, self.depth))

    def shapes(self) -> dict[str, Shape]:
        parts = {"model.diffusion_model.": self.unet.shapes(), "first_stage_model.": self.vae.shapes()}
        parts |= {prefix: text.shapes() for prefix, text in self.texts.items()}
        parts |= {"depth_model.model.": self.depth.shapes()} if self.depth is not None else {}
        return {prefix + name: shape for prefix, shapes in parts.items() for name, shape in shapes.items()}


def write_header_only(path: Path, shapes: Mapping[str, Shape], size: int = 0) -> None:
    """Write a safetensors file that says what it holds and holds nothing, or with zeros behind it up to `size`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = {name: {"dtype": "F16", "shape": list(shape), "data_offsets": [0, 0]} for name, shape in shapes.items()}
    raw = json.dumps(entries).encode()
    path.write_bytes(struct.pack("<Q", len(raw)) + raw)
    if size:
        os.truncate(path, size)


def linear(name: str, inside: int, outside: int) -> Named:
    yield f"{name}.weight", (outside, inside)
    yield f"{name}.bias", (outside,)


def conv(name: str, inside: int, outside: int, kernel: int = 3) -> Named:
    yield f"{name}.weight", (outside, inside, kernel, kernel)
    yield f"{name}.bias", (outside,)


def norm(name: str, width: int) -> Named:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def sd1(in_channels: int = 4) -> CheckpointLayout:
    unet = UNetLayout(320, (1, 2, 4, 4), (1, 1, 1, 0), 1, 768, linear=False, in_channels=in_channels)
    return CheckpointLayout(unet, {"cond_stage_model.transformer.": TextLayout(768, 12)})


def sd2(in_channels: int = 4) -> CheckpointLayout:
    unet = UNetLayout(320, (1, 2, 4, 4), (1, 1, 1, 0), 1, 1024, linear=True, in_channels=in_channels)
    return CheckpointLayout(unet, {"cond_stage_model.model.": TextLayout(1024, 24, open_clip=True, projection=1024)})


def sdxl(in_channels: int = 4) -> CheckpointLayout:
    unet = UNetLayout(320, (1, 2, 4), (0, 2, 10), 10, 2048, linear=True, adm=2816, in_channels=in_channels)
    texts = {
        "conditioner.embedders.0.transformer.": TextLayout(768, 12),
        "conditioner.embedders.1.model.": TextLayout(1280, 32, open_clip=True, projection=1280),
    }
    return CheckpointLayout(unet, texts)


def sdxl_refiner() -> CheckpointLayout:
    unet = UNetLayout(384, (1, 2, 4, 4), (0, 4, 4, 0), 4, 1280, linear=True, adm=2560)
    texts = {"conditioner.embedders.0.model.": TextLayout(1280, 32, open_clip=True, projection=1280)}
    return CheckpointLayout(unet, texts)
