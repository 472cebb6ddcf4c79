"""One file per family of solvers. A solver is a pure function over (denoiser, x, sigmas).

Each takes `denoise`, the latents `x`: (batch, channels, height, width) at noise level sigmas[0], and `sigmas`:
(steps + 1,) on the CPU, falling to 0; draws what noise it needs from `noise(sigma, sigma_next)`; asks `watch` in
every step, i from 0, what it begins with, and tells it what the model said; and returns the latents at the end of the
schedule.
"""
