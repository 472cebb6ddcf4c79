"""Model files fetched from Hugging Face, Civitai or any address: looked up, checked, resumed, put into their folder."""
