"""The mathematics of sampling: sigma schedules, noise, guidance and solvers. Torch functions, no model classes."""
