"""Under which licences known pretrained weights came; what isn't known is said to be unknown."""

import re

from horngate.pipelines.card import Data

# Architectures of keras.applications, and what the Keras documentation says of the ImageNet weights they were ported from.
LICENCES = {
    r"vgg(16|19)": "Creative Commons Attribution 4.0 (Visual Geometry Group, Oxford)",
    r"resnet(50|101|152)(_v2)?": "MIT (Kaiming He)",
    "xception": "MIT (trained by the author of Keras)",
    r"inception(_resnet)?_v[23]": "Apache License 2.0",
    r"mobilenet(_v2)?": "Apache License 2.0",
    r"nasnet_?(mobile|large)": "Apache License 2.0",
    r"densenet_?(121|169|201)": "BSD 3-Clause",
}
NOTE = "ImageNet itself was gathered for non-commercial research and education; ask whether that matters to your use."


def licence_of(card: Data) -> dict[str, str]:
    """Return what is known of the licence of a card's pretrained weights, for the model card: title → text."""
    backbone, weights = getattr(card, "backbone", None), getattr(card, "weights", "none")
    if backbone in (None, "small") or weights == "none":
        return {"Backbone": "A network from random weights: no pretrained ones, and no licence but that of your data."}
    name = backbone.lower()
    known = next((text for pattern, text in LICENCES.items() if re.fullmatch(pattern, name)), None)
    if known is None:
        return {
            "Backbone": f"{backbone}. The licence of its weights is not known to horngate: look at the page from which "
            "they came (for KerasHub presets: the model's page on Kaggle or Hugging Face)."
        }
    if weights != "imagenet":
        return {
            "Backbone": f"{backbone}, with weights from {weights}. If these are the ImageNet weights of "
            f"keras.applications, they came under: {known}; of any other file, ask who gave it. {NOTE}"
        }
    return {"Backbone": f"{backbone}, ImageNet weights of keras.applications: {known}. {NOTE}"}
