"""Which random sample of the subscribers a query takes."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Sample(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    seed: Annotated[float, Field(description="Equal seeds draw equal samples.")]
    size: Annotated[int | None, Field(ge=1, description="How many subscribers to keep.")] = None
    fraction: Annotated[float | None, Field(gt=0, lt=1, description="Which share of the subscribers to keep.")] = None
    estimate_count: Annotated[
        bool, Field(description="Accepted for FlowKit's clients; people are always counted, never estimated.")
    ] = True

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.size is None) == (self.fraction is None):
            raise ValueError("Give either size or fraction.")
        return self


class SystemRandomSample(_Sample):
    """Each subscriber with the probability of `fraction`, or `size` of them."""

    sampling_method: Literal["system"]


class BernoulliRandomSample(_Sample):
    """Each subscriber with the probability of `fraction`, or `size` of them."""

    sampling_method: Literal["bernoulli"]


class RandomIDsRandomSample(_Sample):
    """Exactly `size` subscribers, or exactly the `fraction` of them, rounded down."""

    sampling_method: Literal["random_ids"]
    seed: Annotated[float, Field(ge=-1, le=1, description="Equal seeds draw equal samples.")]


RandomSample = Annotated[
    SystemRandomSample | BernoulliRandomSample | RandomIDsRandomSample, Field(discriminator="sampling_method")
]
"""Which sample of the subscribers to take: `system`, `bernoulli` or `random_ids`."""
