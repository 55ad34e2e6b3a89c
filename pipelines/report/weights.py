"""Under which licences known pretrained weights came; what isn't known is said to be unknown."""

from pathlib import Path

from horngate.models.backbones.licences import licence_of_weights
from horngate.pipelines.spec.card import Data

NOTE = "ImageNet itself was gathered for non-commercial research and education; ask whether that matters to your use."


def licence_of(card: Data) -> dict[str, str]:
    """Return what is known of the licence of a card's pretrained weights, for the model card: title → text."""
    backbone, weights = getattr(card, "backbone", None), getattr(card, "weights", "none")
    if backbone in (None, "small") or weights == "none":
        return {"Backbone": "A network from random weights: no pretrained ones, and no licence but that of your data."}
    known = licence_of_weights(backbone)
    if known is None:
        return {
            "Backbone": f"{backbone}. The licence of its weights is not known to horngate: look at the page from which "
            "they came (for KerasHub presets: the model's page on Kaggle or Hugging Face)."
        }
    if weights != "imagenet":
        return {
            "Backbone": f"{backbone}, with weights from {Path(weights).name}. If these are the ImageNet weights of "
            f"keras.applications, they came under: {known}; of any other file, ask who gave it. {NOTE}"
        }
    return {"Backbone": f"{backbone}, ImageNet weights of keras.applications: {known}. {NOTE}"}
