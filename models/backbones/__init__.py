"""Pretrained encoders of pictures and text, and what is known of them."""
