"""How the optimisation of a network runs, as a recipe."""

from __future__ import annotations

from pydantic import Field

from flashsim.declarations.recipes import Recipe

__all__ = ["Schedule"]


class Schedule(Recipe):
    """Optimisation of one network: AdamW with a one-cycle learning rate, early stopping, best epoch kept."""

    epochs: int = Field(default=150, ge=1, description="largest number of epochs")
    batch: int = Field(default=1024, ge=1, description="largest number of rows a step")
    min_steps: int = Field(
        default=16, ge=1, description="fewest steps an epoch; small tables get smaller batches for it"
    )
    learning_rate: float = Field(default=1e-3, gt=0, description="largest learning rate of the cycle")
    weight_decay: float = Field(default=1e-4, ge=0, description="decoupled weight decay")
    gradient_clip: float = Field(default=5.0, gt=0, description="largest norm of the gradient")
    patience: int = Field(default=20, ge=1, description="epochs without improvement before stopping")
