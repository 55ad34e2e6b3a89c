"""Under which licences the ImageNet weights of `keras.applications` came, as far as that is known. Imports nothing heavy."""

import re

# What the Keras documentation says of the weights that were ported.
KNOWN = {
    r"vgg(16|19)": "Creative Commons Attribution 4.0 (Visual Geometry Group, Oxford)",
    r"resnet(50|101|152)(_?v2)?": "MIT (Kaiming He)",
    "xception": "MIT (trained by the author of Keras)",
    r"inception(_resnet)?_v[23]": "Apache License 2.0",
    r"mobilenet(_v2)?": "Apache License 2.0",
    r"nasnet_?(mobile|large)": "Apache License 2.0",
    r"densenet_?(121|169|201)": "BSD 3-Clause",
}


def licence_of_weights(name: str) -> str | None:
    """Return the licence of an architecture's ImageNet weights (snake-case name), or None where it isn't known."""
    return next((text for pattern, text in KNOWN.items() if re.fullmatch(pattern, name.lower())), None)
