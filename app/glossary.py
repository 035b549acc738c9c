"""The lab's words: for each a plain sentence for newcomers, and what an expert would say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Term:
    """A word of the lab; ``also`` are other words for it."""

    name: str
    plain: str
    expert: str
    also: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Where the glossary has it: ``forward-kl`` for "forward KL"."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


TERMS: Final = (
    Term(
        "policy",
        "The model's habit of choosing the next token: for every beginning of a text, how likely "
        "it is to go on with each token.",
        "The distribution πθ(y_t | x, y_<t) over the vocabulary that the weights θ define.",
    ),
    Term(
        "token",
        "A piece of text, often a word or a part of one: models read and write token by token.",
        "An entry of the tokenizer's vocabulary; T counts those of a completion, V all there are.",
    ),
    Term(
        "student",
        "The model that learns. It sees the prompt only, as it will when you use it.",
        "The policy πθ(· | x) whose weights the optimizer changes; here the base with a LoRA "
        "adapter.",
    ),
    Term(
        "teacher",
        "The same model, but it has been shown a demonstration beside the prompt, so it knows what "
        "a good answer looks like.",
        "πφ(· | x, c): the same network with the demonstration c in its context; φ are base, live "
        "or averaged weights. No gradient reaches it.",
    ),
    Term(
        "demonstration",
        "An example of a good answer to a prompt, from your file.",
        "The reference completion c of a row. SFT imitates its tokens; SDFT only shows it to the "
        "teacher.",
    ),
    Term(
        "rollout",
        "An answer that the student writes itself, to be corrected afterwards.",
        "A completion y sampled from a policy given x; its source may also be the teacher or the "
        "demonstration.",
    ),
    Term(
        "on-policy",
        "Learning from what the model itself writes, not from what somebody else wrote.",
        "Training data are drawn from the current πθ, so the prefixes seen in training are those "
        "met in use; off-policy methods such as SFT take them from a fixed set.",
    ),
    Term(
        "divergence",
        "How much teacher and student disagree about the next token: 0 where they agree.",
        "D(target ‖ student) of the two next-token distributions, in nats: forward KL, reverse KL "
        "or Jensen-Shannon. For methods without a teacher the loss is −log p of the token.",
        ("divergences",),
    ),
    Term(
        "forward KL",
        "A way to measure disagreement that punishes a student who finds unlikely what the teacher "
        "likes.",
        "KL(teacher ‖ student) = Σᵥ p_T log(p_T / p_S). Covers all of the teacher's mass.",
    ),
    Term(
        "reverse KL",
        "A way to measure disagreement that punishes a student who likes what the teacher finds "
        "unlikely.",
        "KL(student ‖ teacher) = Σᵥ p_S log(p_S / p_T). Settles on some of the teacher's modes.",
    ),
    Term(
        "LoRA",
        "Small added weights that hold all that was learned, beside the model's own, which stay as "
        "they are. You take them home as the adapter.",
        "Low-rank adaptation: W + (α/r)·B·A with A and B of rank r trained and W frozen "
        "(Hu et al. 2021), saved as a PEFT adapter.",
        ("adapter",),
    ),
    Term(
        "base",
        "The model as it was before any training.",
        "The network without adapter; scores at step 0 are the base's, unless a run starts from "
        "another run's adapter.",
    ),
    Term(
        "EMA teacher",
        "A teacher that follows the student slowly, so that one bad step does not mislead it.",
        "φ ← (1 − rate)·φ + rate·θ after each optimizer step, kept in fp32: an exponential moving "
        "average of the student's adapter.",
    ),
    Term(
        "premise",
        "The check before training: does the teacher, shown a demonstration, really answer better "
        "than the student? If not, there is nothing to learn from it.",
        "Score of π(· | x, c) against π(· | x) on held-out rows, with intervals; the verdict is "
        "go, weak or no-go.",
    ),
    Term(
        "forgetting",
        "What the model could do before training and cannot do any more.",
        "The drop of scores on probes other than the task, paired over items; along a sequence of "
        "tasks the mean of max over earlier stages minus the last.",
    ),
    Term(
        "probe",
        "A fixed set of questions that is asked before, during and after training.",
        "Items with a scorer; a score is their mean, with a 95 % interval.",
    ),
    Term(
        "prior",
        "What the model knew before it was trained here: facts, and following instructions.",
        "Probes of prior capability: prior:facts (two-way choice), prior:instructions (checks), "
        "prior:kl (KL of the student to the base on fixed texts).",
    ),
    Term(
        "held-out rows",
        "Rows of your file that are never trained on, only scored: they show whether the skill "
        "carries over to new prompts.",
        "The test split, kept apart by prompt so that no training row repeats one.",
        ("held out",),
    ),
    Term(
        "interval",
        "The range in which the true value probably lies: with few items it is wide, and two "
        "scores within it may as well be equal.",
        "95 %: Wilson's for shares, Newcombe's for paired differences, the bootstrap for other "
        "scores. It says nothing of other seeds.",
    ),
    Term(
        "preset",
        "A set of settings that belong together and were tried.",
        "A method's value of the zoo; each key can be overridden and is then shown as such.",
    ),
    Term(
        "checkpoint",
        "A saved state of a run, from which it can go on or be taken home.",
        "Adapter, optimizer and teacher as safetensors with their hash, renamed into place.",
    ),
    Term(
        "trace",
        "One rollout kept with what student and teacher thought of each of its tokens.",
        "Token ids, weights, divergence, log-probabilities, entropies and the five likeliest "
        "tokens of both roles, at temperature 1.",
    ),
    Term(
        "entropy",
        "How undecided a role is about the next token: 0 when it is sure of one.",
        "−Σᵥ p log p of the next-token distribution, in nats; ln V at most.",
    ),
)


def term_document(term: Term) -> dict[str, Any]:
    """A term as the pages' scripts take it."""
    return {
        "name": term.name,
        "anchor": term.anchor,
        "plain": term.plain,
        "expert": term.expert,
        "also": list(term.also),
    }


def plain_sentences() -> dict[str, dict[str, str]]:
    """Anchor and plain sentence of each word in lower case, for ``sdlab.term`` of all pages."""
    return {
        word.lower(): {"name": term.name, "anchor": term.anchor, "plain": term.plain}
        for term in TERMS
        for word in (term.name, *term.also)
    }
