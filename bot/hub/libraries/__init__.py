"""What transformers, diffusers and torchvision can load, read from their sources without importing them."""
