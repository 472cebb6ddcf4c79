"""Names and numbers of AUTOMATIC1111's API, version 1.10, that say nothing about Easel itself."""

from __future__ import annotations

from collections.abc import Mapping

_OPTION_NAMES = """
    CLIP_stop_at_last_layers DAT_tile DAT_tile_overlap ESRGAN_tile ESRGAN_tile_overlap add_model_hash_to_info
    add_model_name_to_info add_user_name_to_info add_vae_hash_to_info add_vae_name_to_info add_version_to_infotext
    always_discard_next_to_last_sigma api_enable_requests api_forbid_local_requests api_useragent auto_backcompat
    auto_launch_browser auto_vae_precision auto_vae_precision_bfloat16 batch_cond_uncond beta_dist_alpha
    beta_dist_beta cache_fp16_weight canvas_auto_expand canvas_blur_prompt canvas_disabled_functions
    canvas_hotkey_adjust canvas_hotkey_fullscreen canvas_hotkey_grow_brush canvas_hotkey_move canvas_hotkey_overlap
    canvas_hotkey_reset canvas_hotkey_shrink_brush canvas_hotkey_zoom canvas_show_tooltip clean_temp_dir_at_start
    code_former_weight comma_padding_backtrack compact_prompt_box cross_attention_optimization dat_enabled_models
    dataset_filename_join_string dataset_filename_word_regex ddim_discretize deepbooru_escape deepbooru_filter_tags
    deepbooru_sort_alpha deepbooru_use_spaces dimensions_and_batch_together directories_filename_pattern
    directories_max_prompt_words disable_all_extensions disable_mmap_load_safetensors disable_token_counters
    disable_weights_auto_swap disabled_extensions do_not_show_images dump_stacks_on_signal emphasis
    enable_batch_seeds enable_console_prompts enable_pnginfo enable_prompt_comments enable_quantization
    enable_reloading_ui_scripts enable_upscale_progressbar eta_ancestral eta_ddim eta_noise_seed_delta
    export_for_4chan extra_networks_add_text_separator extra_networks_card_description_is_html
    extra_networks_card_height extra_networks_card_order extra_networks_card_order_field
    extra_networks_card_show_desc extra_networks_card_text_scale extra_networks_card_width
    extra_networks_default_multiplier extra_networks_dir_button_function extra_networks_hidden_models
    extra_networks_show_hidden_directories extra_networks_tree_view_default_enabled
    extra_networks_tree_view_default_width extra_networks_tree_view_style extra_options_accordion extra_options_cols
    extra_options_img2img extra_options_txt2img face_restoration face_restoration_model face_restoration_unload font
    fp8_storage gallery_height gradio_theme gradio_themes_cache grid_background_color grid_extended_filename
    grid_format grid_only_if_multiple grid_prevent_empty_spots grid_save grid_save_to_dirs grid_text_active_color
    grid_text_inactive_color grid_zip_filename_pattern hidden_tabs hide_ldm_prints hide_samplers
    hires_fix_refiner_pass hires_fix_show_prompts hires_fix_show_sampler hires_fix_use_firstpass_conds
    img2img_background_color img2img_batch_show_results_limit img2img_color_correction img2img_editor_height
    img2img_extra_noise img2img_fix_steps img2img_inpaint_mask_brush_color
    img2img_inpaint_sketch_default_brush_color img2img_settings_accordion img2img_sketch_default_brush_color
    img_downscale_threshold img_max_size_mp include_styles_into_token_counters infotext_explanation
    infotext_skip_pasting infotext_styles initial_noise_multiplier inpainting_mask_weight
    interrogate_clip_dict_limit interrogate_clip_max_length interrogate_clip_min_length interrogate_clip_num_beams
    interrogate_clip_skip_categories interrogate_deepbooru_score_threshold interrogate_keep_models_in_memory
    interrogate_return_ranks interrupt_after_current jpeg_quality js_live_preview_in_modal_lightbox
    js_modal_lightbox js_modal_lightbox_gamepad js_modal_lightbox_gamepad_repeat js_modal_lightbox_initially_zoomed
    keyedit_delimiters keyedit_delimiters_whitespace keyedit_move keyedit_precision_attention
    keyedit_precision_extra list_hidden_files live_preview_allow_lowvram_full live_preview_content
    live_preview_fast_interrupt live_preview_refresh_period live_previews_enable live_previews_image_format
    localization lora_add_hashes_to_infotext lora_bundled_ti_to_infotext lora_functional
    lora_hide_unknown_for_versions lora_in_memory_limit lora_not_found_gradio_warning lora_not_found_warning_console
    lora_preferred_name lora_show_all memmon_poll_rate multiple_tqdm n_rows no_dpmpp_sde_batch_determinism
    notification_audio notification_volume open_dir_button_choice outdir_extras_samples outdir_grids
    outdir_img2img_grids outdir_img2img_samples outdir_init_images outdir_samples outdir_save outdir_txt2img_grids
    outdir_txt2img_samples overlay_inpaint pad_cond_uncond pad_cond_uncond_v0 persistent_cond_cache pin_memory
    postprocessing_disable_in_extras postprocessing_enable_in_main_ui postprocessing_existing_caption_action
    postprocessing_operation_order prevent_screen_sleep_during_generation print_hypernet_extra profiling_activities
    profiling_enable profiling_explanation profiling_filename profiling_profile_memory profiling_record_shapes
    profiling_with_stack quicksettings_list randn_source realesrgan_enabled_models refiner_switch_by_sample_steps
    restore_config_state_file return_grid return_mask return_mask_composite rho s_churn s_min_uncond
    s_min_uncond_all s_noise s_tmax s_tmin samplers_in_dropdown samples_filename_pattern samples_format
    samples_log_stdout samples_save save_images_add_number save_images_before_color_correction
    save_images_before_face_restoration save_images_before_highres_fix save_images_replace_action
    save_incomplete_images save_init_img save_mask save_mask_composite save_optimizer_state save_selected_only
    save_to_dirs save_training_settings_to_txt save_txt save_write_log_csv sd3_enable_t5 sd_checkpoint_cache
    sd_checkpoint_dropdown_use_short sd_checkpoint_hash sd_checkpoints_keep_in_cpu sd_checkpoints_limit
    sd_hypernetwork sd_lora sd_model_checkpoint sd_noise_schedule sd_unet sd_vae sd_vae_checkpoint_cache
    sd_vae_decode_method sd_vae_encode_method sd_vae_explanation sd_vae_overrides_per_model_preferences
    sd_webui_modal_lightbox_icon_opacity sd_webui_modal_lightbox_toolbar_opacity sdxl_clip_l_skip sdxl_crop_left
    sdxl_crop_top sdxl_refiner_high_aesthetic_score sdxl_refiner_low_aesthetic_score send_seed send_size
    set_scale_by_when_changing_upscaler settings_in_ui sgm_noise_multiplier show_gradio_deprecation_warnings
    show_progress_every_n_steps show_progress_grid show_progress_in_title show_progress_type show_progressbar
    show_warnings sigma_max sigma_min skip_early_cond target_side_length temp_dir
    textual_inversion_add_hashes_to_infotext textual_inversion_print_at_load tiling token_merging_ratio
    token_merging_ratio_hr token_merging_ratio_img2img training_enable_tensorboard training_image_repeats_per_epoch
    training_tensorboard_flush_every training_tensorboard_save_images training_write_csv_every
    training_xattention_optimizations txt2img_settings_accordion ui_extra_networks_tab_reorder ui_reorder_list
    ui_tab_order uni_pc_lower_order_final uni_pc_order uni_pc_skip_type uni_pc_variant unload_models_when_training
    upcast_attn upscaler_for_img2img upscaling_max_images_in_cache use_downcasted_alpha_bar
    use_old_emphasis_implementation use_old_hires_fix_width_height use_old_karras_scheduler_sigmas
    use_old_scheduling use_original_name_batch use_save_to_dirs_for_ui use_upscaler_name_as_suffix webp_lossless
"""
A1111_OPTIONS = frozenset(_OPTION_NAMES.split())
"""Every option that A1111 has; clients send them back and forth, whether or not they mean anything here."""
NULL_FIELDS = frozenset({
    "sampler_name", "scheduler", "tiling", "denoising_strength", "s_min_uncond", "s_churn", "s_tmax", "s_tmin",
    "s_noise", "refiner_checkpoint", "refiner_switch_at", "hr_upscaler", "hr_checkpoint_name", "hr_sampler_name",
    "hr_scheduler",
})  # fmt: skip
"""Fields of txt2img that are null unless given; what is used then is for the server to say."""
SCHEDULE_RHOS: Mapping[str, float] = {"karras": 7.0, "polyexponential": 1.0}
"""The exponents of those schedules that have one, by the schedule's name in the API."""
NO_RHO = -1.0
MODEL_SCHEDULES = frozenset({"uniform", "sgm_uniform", "simple", "normal", "ddim", "beta"})
"""Schedules that are made of the model's own noise levels."""
UPSCALER_SCALE = 4.0
"""What A1111 says of every upscaler without a model."""
STANDARD_PAIRS = frozenset({
    "Steps", "Sampler", "Schedule type", "CFG scale", "Image CFG scale", "Seed", "Face restoration", "Size",
    "Model hash", "Model", "FP8 weight", "Cache FP16 weight for LoRA", "VAE hash", "VAE", "Variation seed",
    "Variation seed strength", "Seed resize from", "Conditional mask weight", "Clip skip", "ENSD",
    "Token merging ratio", "Token merging ratio hr", "Init image hash", "RNG", "Tiling", "Version", "User",
})  # fmt: skip
"""Pairs of an infotext that have a place of their own; the others are its extra generation parameters."""
USUAL_PAIRS: Mapping[str, str | int] = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
}
"""What it means when an infotext does not name a key, as png-info tells it."""
