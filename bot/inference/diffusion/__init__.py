"""Make pictures with the pipelines of diffusers: their families, sizes, schedulers and LoRA adapters."""
