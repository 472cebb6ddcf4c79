"""Replaces parts of the sampler in every way that extensions use, each switched on by its name in `ON`."""

import functools

import gradio as gr
import k_diffusion.external
import k_diffusion.sampling
import torch

from modules import (
    extra_networks,
    prompt_parser,
    script_callbacks,
    scripts,
    sd_samplers,
    sd_samplers_common,
    sd_schedulers,
    sd_unet,
    shared,
)
from modules.sd_samplers_kdiffusion import CFGDenoiserKDiffusion, KDiffusionSampler

ON = set()
SEEN = {"steps": [], "moments": [], "samplers": [], "combined": [], "networks": [], "walks": [], "prompts": [], "unloaded": 0}
original_callback = KDiffusionSampler.callback_state
original_create = sd_samplers.create_sampler


def callback_state(self, d):
    SEEN["steps"].append((d["i"], float(d["sigma"]), tuple(d["x"].shape), self.model_wrap_cfg.step))
    if "step" in ON:
        d["denoised"][:, 0] += 0.5
    return original_callback(self, d)


def create_sampler(name, model):
    sampler = original_create(name, model)
    SEEN["samplers"].append((name, type(sampler).__name__))
    if "combine" in ON:
        sampler.model_wrap_cfg.combine_denoised = functools.partial(combine, sampler.model_wrap_cfg.combine_denoised)
    if "tiles" in ON:
        inner = sampler.model_wrap_cfg.inner_model
        inner.forward = functools.partial(tiles, inner.forward)
    if "start" in ON:
        before = sampler.sample
        sampler.sample = lambda p, x, *args, **kwargs: before(p, torch.ones_like(x), *args, **kwargs)
    return sampler


def combine(before, x_out, conds_list, uncond, cond_scale):
    SEEN["combined"].append((tuple(x_out.shape), conds_list, uncond.shape[0], cond_scale))
    return before(x_out, conds_list, uncond, cond_scale * 2)


def tiles(before, x_in, sigma_in, cond):
    SEEN["networks"].append((tuple(x_in.shape), sorted(cond)))
    left, right = x_in.chunk(2, dim=3)
    both = {**cond, "c_crossattn": [cond["c_crossattn"][0].repeat(2, 1, 1)]}
    answer = before(torch.cat([left, right]), sigma_in.repeat(2), cond=both)
    return torch.cat(answer.chunk(2), dim=3)


class Bright(CFGDenoiserKDiffusion):
    def combine_denoised(self, x_out, conds_list, uncond, cond_scale):
        SEEN["combined"].append((self.step, self.total_steps, self.inner_model.sigma_max.item()))
        return super().combine_denoised(x_out, conds_list, uncond, cond_scale) + 0.2


def own_euler(model, x, sigmas, extra_args=None, callback=None, disable=None, noise_sampler=None):
    assert isinstance(model.inner_model, k_diffusion.external.CompVisDenoiser)
    ones = x.new_ones([x.shape[0]])
    SEEN["walks"].append((len(sigmas), tuple(noise_sampler(sigmas[0], sigmas[1]).shape)))
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * ones, **extra_args)
        callback({"x": x, "i": i, "sigma": sigmas[i], "sigma_hat": sigmas[i], "denoised": denoised})
        x = x + k_diffusion.sampling.to_d(x, sigmas[i], denoised) * (sigmas[i + 1] - sigmas[i])
    return x


def steep(n, sigma_min, sigma_max, device):
    return k_diffusion.sampling.get_sigmas_karras(n, sigma_min, sigma_max, rho=3.0, device=device)


def read_prompts(prompts):
    SEEN["prompts"].append(list(prompts))
    if "prompts" in ON:
        prompts = [prompt.replace("INSTEAD", "AND") for prompt in prompts]
    return original_read(prompts)


original_read = prompt_parser.get_multicond_prompt_list
prompt_parser.get_multicond_prompt_list = read_prompts
KDiffusionSampler.callback_state = callback_state
sd_samplers.create_sampler = create_sampler
own = sd_samplers_common.SamplerData("Own Euler", lambda model: KDiffusionSampler(own_euler, model), ["own"], {})
sd_samplers.all_samplers.append(own)
sd_samplers.all_samplers_map[own.name] = own
sd_schedulers.schedulers.append(sd_schedulers.Scheduler("steep", "Steep", steep))


shared.opts.add_option("sample_shared", shared.OptionInfo(0, "Shared", section=("sample", "Sample")))


class SampleNetwork(extra_networks.ExtraNetwork):
    def activate(self, p, params_list):
        SEEN["moments"].append(("activate", [params.items for params in params_list]))

    def deactivate(self, p):
        SEEN["moments"].append("deactivate")


class SampleOption(sd_unet.SdUnetOption):
    label = "Sample U-Net"

    def create_unet(self):
        return SampleUnet()


class SampleUnet(sd_unet.SdUnet):
    def forward(self, x, timesteps, context, *args, **kwargs):
        SEEN["networks"].append((tuple(x.shape), tuple(timesteps.shape), tuple(context.shape[:2])))
        return torch.zeros_like(x)

    def activate(self):
        SEEN["networks"].append("activate")

    def deactivate(self):
        SEEN["networks"].append("deactivate")


class SampleAttention:
    name = "sample attention"

    def apply(self):
        raise AssertionError("Easel keeps to torch's attention")


extra_networks.register_extra_network(SampleNetwork("sample"))


class SampleSampler(scripts.Script):
    def title(self):
        return "Sample sampler"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Checkbox(label="Sample", elem_id="sample_shared_id")]

    def process_batch(self, p, sample, **kwargs):
        SEEN["moments"].append("process_batch")
        if "own" in ON:
            p.sampler_name = "Own Euler"
        if "steep" in ON:
            p.scheduler = "Steep"
        if "derived" in ON:
            base = sd_samplers.all_samplers_map[p.sampler_name]

            def constructor(model):
                made = base.constructor(model)
                made.model_wrap_cfg = Bright(made)
                return made

            p.sampler_name = f"{base.name} bright"
            data = sd_samplers_common.SamplerData(p.sampler_name, constructor, base.aliases, base.options)
            sd_samplers.all_samplers_map[p.sampler_name] = data

    def after_extra_networks_activate(self, p, sample, **kwargs):
        SEEN["moments"].append(("activated", sorted(kwargs), kwargs["batch_number"]))

    def before_hr(self, p, sample):
        SEEN["moments"].append("before_hr")

    def process_before_every_sampling(self, p, sample, x, noise, c, uc):
        SEEN["moments"].append(("every", p.is_hr_pass, x is noise, tuple(x.shape), type(p.sampler).__name__))
        if "noise" in ON:
            noise.fill_(1.0)


def unloaded():
    SEEN["unloaded"] += 1


def extra(params):
    params.noise = torch.zeros_like(params.noise)


script_callbacks.on_script_unloaded(unloaded)
def shorter(params):
    params.prompt = params.prompt.split(" ")[0] if params.is_positive else "many many many words"


script_callbacks.on_extra_noise(extra)
script_callbacks.on_before_token_counter(shorter)
script_callbacks.on_list_unets(lambda found: found.append(SampleOption()))
script_callbacks.on_list_optimizers(lambda found: found.append(SampleAttention()))
