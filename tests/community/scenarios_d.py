"""What extensions of kind d are for: each has to change a picture of one seed, and to leave none of it behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from playwright.sync_api import expect
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.community.page import Watched
from tests.community.site import STARTER, Site
from tests.community.steps import (
    PATIENCE_MS,
    SMALL,
    Scenario,
    acts,
    choose,
    infotext,
    number,
    part,
    picture_of,
    press,
    renew,
    shown,
    tick,
    write,
)  # fmt: skip
from tests.engine.test_families import TINY, WIDTH, tiny_components, tiny_tensors
from tests.layouts import TextLayout

RANK = 4
NETWORK = "easel"
MIXED = "easel_mix"
ONE, OTHER = "easel_one", "easel_other"
DEPTH = 11


def write_network(folder: Path) -> None:
    """Write a LoRA of random numbers for the starter model's attention, by kohya's names."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(5)
    tensors: dict[str, torch.Tensor] = {}
    with safe_open(STARTER / "unet" / "diffusion_pytorch_model.safetensors", "pt") as file:
        for key in file.keys():  # noqa: SIM118 — it is no dictionary
            if not key.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
                continue
            name = f"lora_unet_{key.removesuffix('.weight').replace('.', '_')}"
            outputs, inputs = file.get_slice(key).get_shape()
            tensors[f"{name}.lora_down.weight"] = torch.randn(RANK, inputs, generator=generator) * 0.3
            tensors[f"{name}.lora_up.weight"] = torch.randn(outputs, RANK, generator=generator) * 0.3
            tensors[f"{name}.alpha"] = torch.tensor(float(RANK))
    save_file(tensors, folder / f"{NETWORK}.safetensors")


def write_lora(site: Site) -> None:
    write_network(site.folder / "models" / "Lora")


def write_additional(site: Site) -> None:
    write_network(site.folder / "extensions" / "sd-webui-additional-networks" / "models" / "lora")


def tile(page: Watched) -> None:
    section = part(page, "Tiled Diffusion")
    tick(section, "Tiled Diffusion")
    for label, value in (("Latent tile width", 16), ("Latent tile height", 16), ("Latent tile overlap", 4)):
        number(section, label, value)


def set_in(title: str, box: str, **numbers: float) -> Callable[[Watched], None]:
    """Return what checks a box of a section and sets its sliders; "_" in their names stands for a blank."""

    def act(page: Watched) -> None:
        section = part(page, title)
        tick(section, box)
        for label, value in numbers.items():
            number(section, label.replace("_", " "), value)

    return act


def cut_off(page: Watched) -> None:
    section = part(page, "Target tokens")
    tick(section, "Enabled")
    write(section, "Target tokens", "red, blue")


def add_network(page: Watched) -> None:
    section = part(page, "Additional Networks")
    section.locator(".label-wrap").first.evaluate("e => e.classList.contains('open') || e.click()")
    tick(section, "Enable")
    choose(page, section, "Model 1", NETWORK)
    page.page.wait_for_timeout(1000)


def guide_attention(page: Watched) -> None:
    page.page.locator("#tab_txt2img #pag_active input").first.evaluate("box => box.checked || box.click()")
    number(page.page.locator("#tab_txt2img"), "PAG Scale", 3)


def press_box(selector: str) -> Callable[[Watched], None]:
    def act(page: Watched) -> None:
        page.page.locator(f"#tab_txt2img {selector}").first.evaluate("box => box.checked || box.click()")

    return act


def add_detail(page: Watched) -> None:
    section = part(page, "Detail Daemon")
    tick(section, "Detail Daemon")
    tick(section.locator(".detail-daemon-active").first, "Active")
    number(section, "Detail Amount", 1)
    number(section, "Amount", 1)


def weigh_blocks(page: Watched, _: Site) -> str | None:
    """Use a LoRA whole, with all its blocks at 0, and not at all."""
    without = picture_of(page, "a red apple")
    whole = picture_of(page, f"a red apple <lora:{NETWORK}:1>")
    nothing = picture_of(page, f"a red apple <lora:{NETWORK}:1:lbw=NONE>")
    again = picture_of(page, f"a red apple <lora:{NETWORK}:1>")
    if whole == without or nothing != without:
        return "with all blocks at 0 the LoRA acts, or it never does"
    return None if again == whole else "without weights for its blocks it makes another picture afterwards"


def stand_across(page: Watched, _: Site) -> str | None:
    """Use neutral-prompt's AND_PERP, which is words to a page without it."""
    plain = picture_of(page, "a red apple")
    across = picture_of(page, "a red apple AND_PERP a blue cup :1.5")
    along = picture_of(page, "a red apple AND a blue cup :1.5")
    again = picture_of(page, "a red apple")
    if len({plain, across, along}) < 3:
        return "AND_PERP makes the same picture as a plain prompt, or as AND"
    return None if again == plain else "the plain prompt makes another picture afterwards"


def merge_words(page: Watched, _: Site) -> str | None:
    plain = picture_of(page, "a red apple")
    merged = picture_of(page, "a red <'apple'*0.5+'cup'*0.5>")
    told = infotext(page)
    again = picture_of(page, "a red apple")
    if merged == plain or again != plain:
        return "a merge makes the same picture, or stays"
    return None if "EmbeddingMerge" in told else f"the infotext is {told[:300]}"


def inspect_word(page: Watched, site: Site) -> str | None:
    page.open_tab("inspector")
    tab = page.page.locator("#tab_inspector")
    write(tab, "Text input", "apple")
    press(tab, "Inspect")
    said = "word => [...document.querySelectorAll('#tab_inspector textarea')].some(each => each.value.includes(word))"
    file = site.folder / "embeddings" / f"{MIXED}.bin"
    if not shown(page, said, "apple"):
        return "it says nothing of a word"
    write(tab, "Name 0", "apple")
    write(tab, "Filename", MIXED)
    press(tab, "Save mixed")
    if not shown(page, said, f"{MIXED}.bin") or not file.is_file():
        return "it saved no mix"
    page.open_tab("txt2img")
    without, plain = picture_of(page, "a red"), picture_of(page, "a red apple")
    mixed = picture_of(page, f"a red {MIXED}")
    if mixed == without:
        return "the mix does not act"
    return None if mixed == plain else "the mix of one word is not that word"


def merge_files(page: Watched, site: Site) -> str | None:
    """Merge two files of SDXL's layout half and half: into a third, and into a picture; those of SD 1 fail in it."""
    page.prepare("a red apple", **SMALL)
    page.open_tab("supermerger")
    tab = page.page.locator("#tab_supermerger")
    for place, name in enumerate((ONE, OTHER)):
        tab.locator("#model_converter_model_name input").nth(place).click()
        page.page.locator("[role=option]").filter(has_text=name).first.click()
    tick(tab, "save model")
    write(tab, "Custom Name", MIXED)
    press(tab, "Merge&Gen")
    folder = site.folder / "models" / "Stable-diffusion"
    said = "() => [...document.querySelectorAll('#tab_supermerger textarea')].map(each => each.value).join(' ')"
    if not shown(page, f"() => ({said})().includes('Merged model saved')"):
        return f"it says {page.page.evaluate(said)[:300]}"
    key = "model.diffusion_model.input_blocks.4.0.in_layers.2.weight"
    one, other, merged = (load_file(folder / f"{name}.safetensors")[key].float() for name in (ONE, OTHER, MIXED))
    if not torch.allclose(merged, (one + other) / 2, atol=1e-3):
        return "the file is not the mean of the two"
    expect(tab.locator("#txt2img_gallery img").first).to_be_attached(timeout=PATIENCE_MS)
    made = [picture_with(page, site, name) for name in (ONE, OTHER, "made-by-extension")]
    return None if len(set(made)) == 3 else "the merged weights make no picture of their own"


def picture_with(page: Watched, site: Site, checkpoint: str) -> bytes:
    site.post("/easel/settings", {"sd_model_checkpoint": checkpoint})
    renew(page)
    return picture_of(page, "a red apple")


def write_checkpoints(site: Site) -> None:
    """Write two small files of SDXL's layout, its second text encoder as deep as the extension knows it by."""
    second = TextLayout(WIDTH, DEPTH, open_clip=True, projection=WIDTH)
    layout = replace(TINY["sdxl"], texts=TINY["sdxl"].texts | {"conditioner.embedders.1.model.": second})
    components = tiny_components("sdxl", layout)
    components["text_encoder_2"]["num_hidden_layers"] = DEPTH
    for name, factor in ((ONE, 1.0), (OTHER, 0.6)):
        tensors = {key: tensor * factor if tensor.dim() > 1 else tensor for key, tensor in tiny_tensors(layout).items()}
        file = site.folder / "models" / "Stable-diffusion" / f"{name}.safetensors"
        save_file(tensors, file, {"easel.components": json.dumps(components)})


SCENARIOS: Mapping[str, Scenario] = {
    "multidiffusion-upscaler-for-automatic1111": acts(tile, width=256, height=256, steps=2),
    "sd-webui-vectorscope-cc": acts(set_in("Vectorscope CC", "Enable", Brightness=4)),
    "sd-webui-regional-prompter": acts(
        set_in("Regional Prompter", "Regional Prompter"), "a red apple BREAK a blue cup", width=128
    ),
    "sd-webui-lora-block-weight": weigh_blocks,
    "sd-webui-freeu": acts(set_in("FreeU", "Enable")),
    "sd-dynamic-thresholding": acts(press_box("#dynthres_enabled input"), cfg_scale=20),
    "sd-webui-additional-networks": acts(add_network),
    "embedding-inspector": inspect_word,
    "stable-diffusion-webui-composable-lora": acts(
        set_in("Composable Lora", "Enabled"), f"a red apple AND a blue cup <lora:{NETWORK}:1>"
    ),
    "sd-webui-detail-daemon": acts(add_detail),
    "sd-webui-resharpen": acts(set_in("ReSharpen", "ReSharpen", Sharpness=1)),
    "sd-webui-diffusion-cg": acts(set_in("Diffusion CG", "Diffusion CG", Recenter_Strength=1)),
    "sd-webui-negpip": acts(set_in("NegPiP", "NegPiP"), "a red apple, (red:-1.5)"),
    "sd-webui-cutoff": acts(cut_off, "a red apple, a blue cup"),
    "sd-webui-neutral-prompt": stand_across,
    "sd-webui-cads": acts(set_in("CADS", "Active"), steps=8),
    "sd-webui-incantations": acts(guide_attention),
    "stable-diffusion-webui-embedding-merge": merge_words,
    "sd-webui-supermerger": merge_files,
}
PREPARATIONS: Mapping[str, Callable[[Site], None]] = {
    "sd-webui-lora-block-weight": write_lora,
    "stable-diffusion-webui-composable-lora": write_lora,
    "sd-webui-additional-networks": write_additional,
    "sd-webui-supermerger": write_checkpoints,
}
"""What is put into the data folder before the server begins."""
