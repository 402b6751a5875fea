"""What all sections of a configuration have in common, and the ranges of their values."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

Widths = Annotated[tuple[Annotated[int, Field(ge=1, le=65536)], ...], Field(max_length=16)]
AutoWidths = Widths | Literal["auto"]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def widths(hidden: AutoWidths) -> tuple[int, ...]:
    """Widths of the layers of an adapted config."""
    assert not isinstance(hidden, str)
    return hidden


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """``true`` is not 1."""
        wanted = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and wanted in (int, float):
            raise ValueError("a number is wanted, not true or false")
        return value
