"""Training: loss, optimiser, schedule and when to stop. One member for each of a kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tasks.plan.base import Member

Rate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0)]
Epochs = Annotated[float, Field(ge=0)]
Factor = Annotated[float, Field(gt=0, lt=1)]
ClassWeights = Annotated[
    Literal["none", "root", "balanced"],
    Field(
        description="`balanced` gives every class the same weight in all, `root` a row the square root of "
        "what `balanced` would: between both, as macro-F1 often asks for"
    ),
]


class CrossEntropy(Member):
    """Cross-entropy over the classes."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    class_weights: ClassWeights = "none"
    smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of the probability that is spread over all classes"
    )


class BinaryCrossEntropy(Member):
    """Cross-entropy of one output, the log odds of the positive class; for two classes."""

    kind: Literal["binary_cross_entropy"]
    class_weights: ClassWeights = "none"


class MeanSquaredError(Member):
    """Mean squared error of the standardised number."""

    kind: Literal["mse"] = "mse"


Loss = Annotated[CrossEntropy | BinaryCrossEntropy | MeanSquaredError, Field(discriminator="kind")]


class GradientDescent(Member):
    """Gradient descent: one step an epoch, by the gradient over all fit rows; `batch` only bounds memory."""

    kind: Literal["gradient_descent"]
    rate: Rate = 0.1


class SGD(Member):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"]
    rate: Rate = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: Decay = 0.0


class Adam(Member):
    """Adam (Kingma and Ba 2015)."""

    kind: Literal["adam"]
    rate: Rate = 1e-3


class AdamW(Member):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    kind: Literal["adamw"] = "adamw"
    rate: Rate = 3e-3
    weight_decay: Decay = 1e-4


Optimizer = Annotated[GradientDescent | SGD | Adam | AdamW, Field(discriminator="kind")]


class Constant(Member):
    """The same rate throughout."""

    kind: Literal["constant"]


class Step(Member):
    """The rate times `factor` after every `epochs` epochs."""

    kind: Literal["step"]
    epochs: Annotated[int, Field(ge=1)] = 1
    factor: Factor = 0.5


class Exponential(Member):
    """The rate times `factor` each epoch, step by step."""

    kind: Literal["exponential"]
    factor: Factor = 0.9


class Cosine(Member):
    """Cosine decay to zero after a linear warm-up."""

    kind: Literal["cosine"] = "cosine"
    warmup_epochs: Epochs = Field(
        1.0,
        description="fewer than the training's epochs; left unsaid: 1, or half of a single epoch",
    )


class Plateau(Member):
    """The rate times `factor` whenever the validation loss has not fallen for `patience` epochs."""

    kind: Literal["plateau"]
    factor: Factor = 0.5
    patience: Annotated[int, Field(ge=1)] = 2


Schedule = Annotated[Constant | Step | Exponential | Cosine | Plateau, Field(discriminator="kind")]


class Training(Member):
    """The training loop."""

    epochs: Annotated[int, Field(ge=1)] = 12
    batch: Annotated[int, Field(ge=1)] = 512
    loss: Loss = CrossEntropy()
    optimizer: Optimizer = AdamW()
    schedule: Schedule = Cosine()
    patience: Annotated[int, Field(ge=1)] | None = Field(
        4,
        description="epochs without a better validation loss before training stops; null: never. Under a "
        "constraint or an adversary: loss and priced excess",
    )
    clip_norm: Annotated[float, Field(gt=0)] | None = 1.0
    accumulate: Annotated[int, Field(ge=1)] = Field(
        1, description="batches whose gradients are added up for one step"
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="bfloat16: mixed, where the device has it; else refused"
    )
    compile: bool = Field(default=False, description="torch.compile: slower to start, faster per step")
    workers: Annotated[int, Field(ge=1, le=64)] = Field(
        1,
        description="processes that share each batch, `batch` at most (gloo on CPU, nccl on GPU)",
    )
