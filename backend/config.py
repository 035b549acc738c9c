"""The configuration of a run: frozen, and strict about fields."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from backend.documents import as_yaml

DEFAULT_MODEL = "bundled:smollm2-135m-instruct"


class Frozen(BaseModel):
    """Base of all parts of a configuration; its numbers are finite."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False
    )


class Schedule(Frozen):
    """A number that goes linearly from one value to another over the first steps of a run."""

    start: float = Field(alias="from")
    end: float = Field(alias="to")
    over: int = Field(ge=1)

    def at(self, step: int) -> float:
        """The value at optimizer step ``step`` (counted from 0)."""
        return self.start + (self.end - self.start) * min(step / self.over, 1.0)


def value_at(value: float | Schedule, step: int) -> float:
    """A number or the value of its schedule at ``step`` (from 0)."""
    return value.at(step) if isinstance(value, Schedule) else float(value)


def _between_shares(schedule: Schedule) -> Schedule:
    if not all(0 <= end <= 1 for end in (schedule.start, schedule.end)):
        raise ValueError("both ends of its schedule should be shares, from 0 to 1")
    return schedule


def _between_lengths(schedule: Schedule) -> Schedule:
    if min(schedule.start, schedule.end) < 1:
        raise ValueError("both ends of its schedule should be 1 token at least")
    return schedule


Share = Annotated[float, Field(ge=0, le=1)] | Annotated[Schedule, AfterValidator(_between_shares)]
Length = Annotated[int, Field(ge=1)] | Annotated[Schedule, AfterValidator(_between_lengths)]
RolloutSource = Literal["student", "teacher", "demonstration", "sampled"]


def _one_source(value: Any) -> Any:
    return {value: "rest"} if isinstance(value, str) else value


class RolloutConfig(Frozen):
    """Who writes the completions that are trained on, and how they are sampled."""

    source: Annotated[dict[RolloutSource, Share | Literal["rest"]], BeforeValidator(_one_source)]
    per_prompt: int = Field(1, ge=1)
    max_new_tokens: Length = 64
    temperature: float = Field(1.0, gt=0)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="0: all tokens")
    min_p: float = Field(0.0, ge=0, le=1, description="of the likeliest token's probability")
    min_lines: int = Field(1, ge=1, description="fewer, and a sampled answer is not trained on")
    prompts: Literal["task", "general"] = Field(
        "task", description="general: bundled everyday prompts in place of the task's"
    )

    @field_validator("source")
    @classmethod
    def _add_up(cls, source: dict[RolloutSource, Any]) -> dict[RolloutSource, Any]:
        if sum(share == "rest" for share in source.values()) != 1:
            raise ValueError(
                "exactly one source takes the rest, as in {demonstration: 0.5, student: rest}"
            )
        shares = [share for share in source.values() if share != "rest"]
        # Sums of linear schedules are greatest at one of their ends.
        for step in (0, *(share.over for share in shares if isinstance(share, Schedule))):
            total = sum(value_at(share, step) for share in shares)
            if total > 1 + 1e-9:
                raise ValueError(f"its shares add up to {total:g} at step {step}, and 1 is all")
        return source


class TeacherConfig(Frozen):
    """Which weights teach, and what they see beyond the prompt."""

    weights: Literal["none", "base", "live", "ema", "run"] = "none"
    rate: float = Field(0.02, ge=0, le=1, description="EMA rate; 1 copies the student")
    every: int = Field(1, ge=1, description="steps from one EMA update to the next")
    run: str | None = Field(None, description="whose adapter teaches, for weights run")
    context: str = "earlier-turn"
    template: str | None = Field(None, description="free form with {prompt} and {demonstration}")
    examples: int = Field(2, ge=1, description="other rows' demonstrations, for context several")
    success_at: float = Field(1.0, gt=0, le=1, description="least score of a sibling to be shown")
    temperature: float = Field(1.0, gt=0, description="below 1 sharpens the teacher")


class DivergenceConfig(Frozen):
    """How a token's target and the student's distribution are compared."""

    kind: Literal["nll", "forward_kl", "reverse_kl", "jsd"]
    support: Literal["full", "student-top-k", "teacher-top-k", "sampled-token"] = "full"
    top_k: int = Field(100, ge=1, description="tokens of a top-k support")
    tail: bool = Field(True, description="all other tokens as one more; else renormalised without")
    teacher_share: float = Field(0.5, gt=0, lt=1, description="of the mixture, for jsd only")
    clip: float | None = Field(None, gt=0, description="most that one vocabulary entry may add")
    nll_share: Share = Field(0.0, description="of the loss, for the demonstration's own -log p")


class TokenWeightsConfig(Frozen):
    """Which completion tokens count, and how they are averaged."""

    skip_first: int = Field(0, ge=0)
    stop_below: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="leave out what follows a token that the teacher gives less than this",
    )
    stop_after: int = Field(1, ge=1, description="such tokens in a row before the rest is left out")
    by_probability: bool = Field(False, description="times p_S(token), held fast: DFT")
    importance_cap: float | None = Field(
        None, gt=0, description="times p_S / p_sampler of the token, at most this"
    )
    average: Literal["sequence", "token"] = "sequence"


class AdapterConfig(Frozen):
    """What is trained: a LoRA adapter, or all weights; then the rest of this says nothing."""

    full: bool = Field(False, description="train all weights instead of an adapter")
    rank: int = Field(16, ge=1)
    alpha: float = Field(32, gt=0)
    targets: Literal["all-linear"] | tuple[str, ...] = "all-linear"
    rslora: bool = Field(False, description="scale by alpha over the root of rank, not by rank")
    dora: bool = Field(False, description="learn each output's magnitude beside its direction")
    four_bit: bool = Field(False, description="hold the base in 4 bits; on GPUs, by bitsandbytes")


class OptimizerConfig(Frozen):
    """AdamW and its learning-rate schedule."""

    learning_rate: float = Field(1e-4, gt=0)
    schedule: Literal[
        "constant", "cosine", "cosine_with_restarts", "inverse_sqrt", "linear", "polynomial"
    ] = Field("constant", description="as transformers has them, after the warm-up")
    warmup_steps: int = Field(5, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    weight_decay: float = Field(0.0, ge=0)


class EvaluateConfig(Frozen):
    """Which probes are scored before, along and after a run."""

    every: int = Field(0, ge=0, description="steps between evaluations along the run; 0: none")
    probes: tuple[str, ...] = ("task", "prior")
    limit: int = Field(0, ge=0, description="items a probe before and after; 0: all")
    other_limit: int = Field(0, ge=0, description="rows of other tasks; 0: as limit")
    facts_limit: int = Field(0, ge=0, description="of prior:facts, which writes no answers; 0: all")
    along: tuple[str, ...] = Field(
        ("task", "prior:facts"), description="which of the probes are scored along the run"
    )
    along_limit: int = Field(32, ge=0, description="items a probe along the run; 0: all")
    premise: bool = Field(True, description="measure the premise before the first step")
    kl_rows: int = Field(
        2, ge=0, description="rollouts of each step whose KL(student || base) is logged"
    )
    max_new_tokens: int = Field(48, ge=1)


class StopRule(Frozen):
    """Ends a run whose scores along the way, on one probe, do what they must not."""

    probe: str = Field(min_length=1, description="one of evaluate.along, such as prior:facts")
    fell_by: float | None = Field(
        None, gt=0, description="more than this since step 0, with the interval below zero"
    )
    no_gain_for: int | None = Field(None, ge=1, description="evaluations without a new best")

    @model_validator(mode="after")
    def _one_condition(self) -> Self:
        if (self.fell_by is None) == (self.no_gain_for is None):
            raise ValueError("set either fell_by or no_gain_for")
        return self


class TracesConfig(Frozen):
    """Which rollouts are kept token by token."""

    every: int = Field(10, ge=0, description="steps between traces; 0: none")
    watched: int = Field(8, ge=0, description="held-out prompts, the same at each traced step")
    sampled: int = Field(4, ge=0, description="training rows of the step")
    max_mib: float = Field(256.0, gt=0)


class RunConfig(Frozen):
    """All that a training run depends on besides the task's rows and the model's weights."""

    name: str = Field("", max_length=200)
    task: str = Field(min_length=1, description="a task's name, or name@version")
    model: str = DEFAULT_MODEL
    method: str = Field(min_length=1, description="a preset of backend.methods")
    # What database and torch can hold.
    seed: int = Field(0, ge=0, le=2**63 - 1)
    steps: int = Field(60, ge=1, le=2**31 - 1)
    batch_size: int = Field(8, ge=1, le=2**31 - 1, description="prompts an optimizer step")
    micro_batch_size: int = Field(0, ge=0, description="rows a forward pass; 0: the whole batch")
    rollout: RolloutConfig
    devices: int = Field(1, ge=1, le=64, description="slots at once, each with a share of the rows")
    teacher: TeacherConfig = TeacherConfig()
    divergence: DivergenceConfig
    token_weights: TokenWeightsConfig = TokenWeightsConfig()
    adapter: AdapterConfig = AdapterConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    traces: TracesConfig = TracesConfig()
    checkpoint_every: int = Field(20, ge=1)
    checkpoint_minutes: float = Field(
        0.0, ge=0, description="one after so much time, too, whatever the steps; 0: by steps only"
    )
    keep_checkpoints: int = Field(
        0, ge=0, description="the last so many are kept, and the best by the task's score; 0: all"
    )
    stop_when: tuple[StopRule, ...] = Field((), description="ends the run before its last step")
    start_from: str | None = Field(None, description="run whose adapter this one continues")
    anyway: bool = Field(False, description="launch although the premise is no-go")

    @field_validator("devices")
    @classmethod
    def _rows_for_all(cls, devices: int, before: ValidationInfo) -> int:
        if "batch_size" in before.data and "rollout" in before.data:
            rows = before.data["batch_size"] * before.data["rollout"].per_prompt
            if rows < devices:
                raise ValueError(f"a step has {rows} rows to share; lower it, or raise batch_size")
        return devices

    def as_document(self) -> dict[str, Any]:
        """Plain values, as YAML, the form and the database hold them."""
        return self.model_dump(mode="json", by_alias=True)

    def as_yaml(self) -> str:
        return as_yaml(self.as_document())
