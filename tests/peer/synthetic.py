"""Synthetic weights in the shape of Stable Diffusion 1.5, the same bytes on every machine: 2.3 GB that nobody hosts.

A checkpoint in the original layout, a VAE, a LoRA and an embedding. Pictures made from them are noise to the eye, but
prompt, LoRA, embedding, VAE, clip skip and timestep all matter visibly, so what another program made from them tells
whether ours means the same.

Every tensor has a generator of its own, seeded by its name, and draws uniform numbers only; then comes one affine map
in float32 and one rounding to float16. So the bytes depend neither on the order of tensors nor on threads or vector
instructions. The bounds are torch's usual ones for a layer, 1 / sqrt(inputs), times a gain that was tried out.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

TAG = "synth-sd15-v1:"
LORA_RANK, LORA_ALPHA = 4, 2.0
TEXT_WIDTH, TEXT_INNER, TEXT_LAYERS = 768, 3072, 12
UNET_CHANNELS, UNET_TIME = 320, 1280
VAE_CHANNELS = 128
LEVELS = (1, 2, 4, 4)
"""How many times as many channels each level of U-Net and VAE has."""
GAIN = 1.7
IDENTITY, RANDOM = 0.95, 0.35
"""The U-Net answers with this share of its normalised input, and with random weights of that gain."""
CLEAN = 8
"""How many of the U-Net's first and last channels carry its input, with both signs, past everything else."""


def uniform(name: str, shape: tuple[int, ...], bound: float, centre: float = 0.0) -> Tensor:
    """Return the float16 tensor of that name: uniform within `bound` around `centre`."""
    return uniform_floats(name, shape, bound, centre).half()


def uniform_floats(name: str, shape: tuple[int, ...], bound: float, centre: float = 0.0) -> Tensor:
    """Return the same in float32."""
    seed = int.from_bytes(hashlib.sha256((TAG + name).encode()).digest()[:6], "big")
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
    return drawn.mul_(2.0).sub_(1.0).mul_(bound).add_(centre)


@dataclass(slots=True)
class Weights:
    """Collects the tensors of one network; `tag` makes two networks of the same names differ."""

    prefix: str = ""
    tag: str = ""
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def get(self, name: str) -> Tensor:
        """Return a tensor to be changed in place."""
        return self.tensors[self.prefix + name]

    def draw(self, name: str, shape: tuple[int, ...], bound: float, centre: float = 0.0) -> None:
        """Add a drawn tensor."""
        full = self.prefix + name
        self.tensors[full] = uniform(self.tag + full, shape, bound, centre)

    def linear(self, name: str, inputs: int, outputs: int, bias: bool = True, gain: float = 1.0) -> None:
        """Add a linear layer."""
        bound = 1 / math.sqrt(inputs)
        self.draw(f"{name}.weight", (outputs, inputs), bound * gain)
        if bias:
            self.draw(f"{name}.bias", (outputs,), bound)

    def convolution(self, name: str, inputs: int, outputs: int, side: int = 3, gain: float = GAIN) -> None:
        """Add a convolution."""
        bound = 1 / math.sqrt(inputs * side * side)
        self.draw(f"{name}.weight", (outputs, inputs, side, side), bound * gain)
        self.draw(f"{name}.bias", (outputs,), bound)

    def norm(self, name: str, channels: int) -> None:
        """Add a normalisation, not quite 1 and 0, so that swapped or forgotten parameters show."""
        self.draw(f"{name}.weight", (channels,), 0.1, 1.0)
        self.draw(f"{name}.bias", (channels,), 0.1)


def unet(weights: Weights) -> None:
    """Add the U-Net."""
    base = UNET_CHANNELS
    weights.linear("time_embed.0", base, UNET_TIME)
    weights.linear("time_embed.2", UNET_TIME, UNET_TIME, gain=2.0)
    _first_convolution(weights)
    kept, channels, place = [base], base, 1
    for level, factor in enumerate(LEVELS):
        for _ in range(2):
            _unet_residual(weights, f"input_blocks.{place}.0", channels, factor * base)
            channels = factor * base
            if level < 3:
                _transformer(weights, f"input_blocks.{place}.1", channels)
            kept.append(channels)
            place += 1
        if level < 3:
            weights.convolution(f"input_blocks.{place}.0.op", channels, channels)
            kept.append(channels)
            place += 1
    _unet_residual(weights, "middle_block.0", channels, channels)
    _transformer(weights, "middle_block.1", channels)
    _unet_residual(weights, "middle_block.2", channels, channels)
    _rising_blocks(weights, channels, kept)
    _last_convolution(weights)


def _rising_blocks(weights: Weights, channels: int, kept: list[int]) -> None:
    for place in range(12):
        level, part = 3 - place // 3, place % 3
        outputs = LEVELS[level] * UNET_CHANNELS
        _unet_residual(weights, f"output_blocks.{place}.0", channels + kept.pop(), outputs)
        channels = outputs
        if level < 3:
            _transformer(weights, f"output_blocks.{place}.1", channels)
        if level and part == 2:
            weights.convolution(f"output_blocks.{place}.{2 if level < 3 else 1}.conv", channels, channels)


def _unet_residual(weights: Weights, name: str, inputs: int, outputs: int) -> None:
    weights.norm(f"{name}.in_layers.0", inputs)
    weights.convolution(f"{name}.in_layers.2", inputs, outputs)
    weights.linear(f"{name}.emb_layers.1", UNET_TIME, outputs, gain=2.0)
    weights.norm(f"{name}.out_layers.0", outputs)
    weights.convolution(f"{name}.out_layers.3", outputs, outputs)
    if inputs != outputs:
        weights.convolution(f"{name}.skip_connection", inputs, outputs, 1)


def _transformer(weights: Weights, name: str, channels: int) -> None:
    weights.norm(f"{name}.norm", channels)
    weights.convolution(f"{name}.proj_in", channels, channels, 1)
    block = f"{name}.transformer_blocks.0"
    for attention, context, asked, told in (("attn1", channels, 2.0, 2.0), ("attn2", TEXT_WIDTH, 2.5, 3.0)):
        weights.linear(f"{block}.{attention}.to_q", channels, channels, False, asked)
        weights.linear(f"{block}.{attention}.to_k", context, channels, False, asked)
        weights.linear(f"{block}.{attention}.to_v", context, channels, False, told)
        weights.linear(f"{block}.{attention}.to_out.0", channels, channels, True, told)
    weights.linear(f"{block}.ff.net.0.proj", channels, 8 * channels, gain=GAIN)
    weights.linear(f"{block}.ff.net.2", 4 * channels, channels, gain=GAIN)
    for number in (1, 2, 3):
        weights.norm(f"{block}.norm{number}", channels)
    weights.convolution(f"{name}.proj_out", channels, channels, 1)


def _first_convolution(weights: Weights) -> None:
    """Add the first layer, whose first channels are x and -x."""
    weights.convolution("input_blocks.0.0", 4, UNET_CHANNELS)
    weight = weights.get("input_blocks.0.0.weight")
    weight[:CLEAN] = 0
    weights.get("input_blocks.0.0.bias")[:CLEAN] = 0
    for channel in range(4):
        weight[2 * channel, channel, 1, 1] = 1.0
        weight[2 * channel + 1, channel, 1, 1] = -1.0


def _last_convolution(weights: Weights) -> None:
    """Lead the clean channels to the last layer, which adds them: silu(a) - silu(-a) = a."""
    skip = weights.get("output_blocks.11.0.skip_connection.weight")
    skip[:CLEAN] = 0
    for channel in range(CLEAN):
        skip[channel, UNET_CHANNELS + channel, 0, 0] = 1.0
    # These share the clean channels' normalisation group of ten.
    skip[CLEAN:10] *= 0.05
    for name in ("output_blocks.11.0.out_layers.3", "output_blocks.11.1.proj_out"):
        weights.get(f"{name}.weight")[:10] *= 0.02
        weights.get(f"{name}.bias")[:10] = 0
    weights.norm("out.0", UNET_CHANNELS)
    weights.convolution("out.2", UNET_CHANNELS, 4, gain=RANDOM)
    last = weights.get("out.2.weight")
    for channel in range(4):
        last[channel, 2 * channel, 1, 1] += IDENTITY
        last[channel, 2 * channel + 1, 1, 1] -= IDENTITY


def vae(weights: Weights) -> None:
    """Add the VAE; the noise of its posterior is tiny, as a real one's is."""
    weights.convolution("encoder.conv_in", 3, VAE_CHANNELS)
    channels = VAE_CHANNELS
    for level, factor in enumerate(LEVELS):
        for place in range(2):
            _vae_residual(weights, f"encoder.down.{level}.block.{place}", channels, factor * VAE_CHANNELS)
            channels = factor * VAE_CHANNELS
        if level < 3:
            weights.convolution(f"encoder.down.{level}.downsample.conv", channels, channels)
    _vae_middle(weights, "encoder.mid", channels)
    weights.norm("encoder.norm_out", channels)
    weights.convolution("encoder.conv_out", channels, 8, gain=8.0)
    weights.convolution("decoder.conv_in", 4, channels)
    _vae_middle(weights, "decoder.mid", channels)
    for level in (3, 2, 1, 0):
        for place in range(3):
            _vae_residual(weights, f"decoder.up.{level}.block.{place}", channels, LEVELS[level] * VAE_CHANNELS)
            channels = LEVELS[level] * VAE_CHANNELS
        if level:
            weights.convolution(f"decoder.up.{level}.upsample.conv", channels, channels)
    weights.norm("decoder.norm_out", channels)
    weights.convolution("decoder.conv_out", channels, 3, gain=1.0)
    weights.convolution("quant_conv", 8, 8, 1, gain=2.5)
    weights.convolution("post_quant_conv", 4, 4, 1)
    weights.get("quant_conv.weight")[4:] *= 0.1
    weights.get("quant_conv.bias")[4:] = -20.0


def _vae_residual(weights: Weights, name: str, inputs: int, outputs: int) -> None:
    weights.norm(f"{name}.norm1", inputs)
    weights.convolution(f"{name}.conv1", inputs, outputs)
    weights.norm(f"{name}.norm2", outputs)
    weights.convolution(f"{name}.conv2", outputs, outputs)
    if inputs != outputs:
        weights.convolution(f"{name}.nin_shortcut", inputs, outputs, 1)


def _vae_middle(weights: Weights, name: str, channels: int) -> None:
    _vae_residual(weights, f"{name}.block_1", channels, channels)
    weights.norm(f"{name}.attn_1.norm", channels)
    for part in ("q", "k", "v", "proj_out"):
        weights.convolution(f"{name}.attn_1.{part}", channels, channels, 1)
    _vae_residual(weights, f"{name}.block_2", channels, channels)


def text_encoder(weights: Weights) -> None:
    """Add CLIP's text encoder, whose mean is not 0, as a real one's is not: emphasis divides by it."""
    embeddings = "text_model.embeddings."
    weights.draw(f"{embeddings}token_embedding.weight", (49408, TEXT_WIDTH), 0.02 * math.sqrt(3))
    weights.draw(f"{embeddings}position_embedding.weight", (77, TEXT_WIDTH), 0.01 * math.sqrt(3))
    weights.tensors[f"{weights.prefix}{embeddings}position_ids"] = torch.arange(77, dtype=torch.int64)[None]
    for number in range(TEXT_LAYERS):
        layer = f"text_model.encoder.layers.{number}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            weights.linear(f"{layer}self_attn.{part}", TEXT_WIDTH, TEXT_WIDTH, gain=2.0)
        weights.norm(f"{layer}layer_norm1", TEXT_WIDTH)
        weights.norm(f"{layer}layer_norm2", TEXT_WIDTH)
        weights.linear(f"{layer}mlp.fc1", TEXT_WIDTH, TEXT_INNER, gain=GAIN)
        weights.linear(f"{layer}mlp.fc2", TEXT_INNER, TEXT_WIDTH, gain=GAIN)
    weights.norm("text_model.final_layer_norm", TEXT_WIDTH)
    weights.draw("text_model.final_layer_norm.bias", (TEXT_WIDTH,), 0.1, -0.1)


def noise_schedule() -> dict[str, Tensor]:
    """Return what checkpoints in the original layout hold of the noise schedule."""
    betas = torch.linspace(0.00085**0.5, 0.0120**0.5, 1000, dtype=torch.float64) ** 2
    alphas = torch.cumprod(1.0 - betas, 0)
    before = torch.cat([torch.ones(1, dtype=torch.float64), alphas[:-1]])
    variance = betas * (1.0 - before) / (1.0 - alphas)
    buffers = {
        "betas": betas,
        "alphas_cumprod": alphas,
        "alphas_cumprod_prev": before,
        "sqrt_alphas_cumprod": alphas.sqrt(),
        "sqrt_one_minus_alphas_cumprod": (1 - alphas).sqrt(),
        "log_one_minus_alphas_cumprod": (1 - alphas).log(),
        "sqrt_recip_alphas_cumprod": (1 / alphas).sqrt(),
        "sqrt_recipm1_alphas_cumprod": (1 / alphas - 1).sqrt(),
        "posterior_variance": variance,
        "posterior_log_variance_clipped": variance.clamp(min=1e-20).log(),
        "posterior_mean_coef1": betas * before.sqrt() / (1 - alphas),
        "posterior_mean_coef2": (1 - before) * (1 - betas).sqrt() / (1 - alphas),
    }
    return {name: buffer.float() for name, buffer in buffers.items()}


def checkpoint_tensors() -> dict[str, Tensor]:
    """Return the whole checkpoint."""
    tensors = noise_schedule()
    for fill, prefix in (
        (unet, "model.diffusion_model."),
        (vae, "first_stage_model."),
        (text_encoder, "cond_stage_model.transformer."),
    ):
        weights = Weights(prefix)
        fill(weights)
        tensors |= weights.tensors
    return tensors


def vae_tensors() -> dict[str, Tensor]:
    """Return a VAE other than the checkpoint's."""
    weights = Weights(tag="external-vae:")
    vae(weights)
    return weights.tensors


def lora_tensors() -> dict[str, Tensor]:
    """Return a LoRA in kohya's layout, over text encoder and U-Net."""
    tensors: dict[str, Tensor] = {}
    for number in range(TEXT_LAYERS):
        layer = f"lora_te_text_model_encoder_layers_{number}_"
        for part in ("q", "k", "v", "out"):
            _add_pair(tensors, f"{layer}self_attn_{part}_proj", TEXT_WIDTH, TEXT_WIDTH)
        _add_pair(tensors, f"{layer}mlp_fc1", TEXT_WIDTH, TEXT_INNER)
        _add_pair(tensors, f"{layer}mlp_fc2", TEXT_INNER, TEXT_WIDTH)
    blocks = [(f"down_blocks_{level}_attentions_{place}", LEVELS[level]) for level in range(3) for place in range(2)]
    blocks.append(("mid_block_attentions_0", LEVELS[3]))
    for level in (1, 2, 3):
        blocks += [(f"up_blocks_{level}_attentions_{place}", LEVELS[3 - level]) for place in range(3)]
    for block, factor in blocks:
        _add_transformer_pairs(tensors, f"lora_unet_{block}_", factor * UNET_CHANNELS)
    return tensors


def _add_transformer_pairs(tensors: dict[str, Tensor], name: str, channels: int) -> None:
    _add_pair(tensors, f"{name}proj_in", channels, channels, (1, 1))
    block = f"{name}transformer_blocks_0_"
    for attention, context in (("attn1", channels), ("attn2", TEXT_WIDTH)):
        for part, inputs in (("to_q", channels), ("to_k", context), ("to_v", context), ("to_out_0", channels)):
            _add_pair(tensors, f"{block}{attention}_{part}", inputs, channels)
    _add_pair(tensors, f"{block}ff_net_0_proj", channels, 8 * channels)
    _add_pair(tensors, f"{block}ff_net_2", 4 * channels, channels)
    _add_pair(tensors, f"{name}proj_out", channels, channels, (1, 1))


def _add_pair(tensors: dict[str, Tensor], name: str, inputs: int, outputs: int, kernel: tuple[int, ...] = ()) -> None:
    down, up = (LORA_RANK, inputs, *kernel), (outputs, LORA_RANK, *kernel)
    tensors[f"{name}.lora_down.weight"] = uniform(f"lora:{name}.down", down, 1 / math.sqrt(inputs) * GAIN)
    tensors[f"{name}.lora_up.weight"] = uniform(f"lora:{name}.up", up, 0.3)
    tensors[f"{name}.alpha"] = torch.tensor(LORA_ALPHA, dtype=torch.float16)


def embedding_tensors() -> dict[str, Tensor]:
    """Return an embedding of two vectors."""
    return {"emb_params": uniform_floats("ti:emb_params", (2, TEXT_WIDTH), 0.03 * math.sqrt(3))}
