"""Networks that are ready to upscale, whatever runs them, and pictures of any kind and size for them."""
