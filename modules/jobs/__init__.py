"""Jobs: the queue on disk, the thread that works it off, and what the pages are told of it. No torch, no Gradio."""
