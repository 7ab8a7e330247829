"""One conversation as the learned judge reads it: step by step, turn by turn, with quotes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod, sqrt
from statistics import fmean

from warmline.detectors import Exchange, Span, detect, near_duplicates, sentences
from warmline.grader import features
from warmline.grader.checks import NEUTRAL_REPLY
from warmline.grader.evidence import LONGEST_QUOTE, Quote, exchange_at, stands_verbatim
from warmline.grader.learned import LearnedJudge, Values, both_show
from warmline.grader.spoken import NOTHING, as_spoken, folded, formulas, kept_before, nameless
from warmline.phrases import INSULTS
from warmline.rubric import Step
from warmline.traits import FAULTS, OCCASIONS, STEP_TRAITS
from warmline.transcript import Transcript

#: A sentence less likely than this to show a step is no evidence for it: the first where a turn
#: reaches more than `LITTLE` of the step, the second where none does; what is found there is
#: mostly chance. One that stands for another step already counts for less. Chosen by the words
#: that are marked in labelled sessions.
LEAST_LIKELY = 0.2
LEAST_LIKELY_FOR_LITTLE = 0.4
LITTLE = 0.4
QUOTED_ALREADY = 0.5
#: A fault less likely than this, by reply and sentence together, is not held against anybody.
FAULT_SEEN = 0.4
#: Blame fails a session where a rubric says so: how likely it has to be somewhere in the session,
#: where no dignity is kept otherwise; how much likelier, where all of it is (kind words are taken
#: for blame now and then); and how likely the sentence that is quoted. Chosen on whole labelled
#: sessions, held out. Who blames politely mostly does it twice.
PLAIN_BLAME = 0.35
SURER_OF_THE_KIND = 0.5
BLAME_QUOTED = 0.2
#: A sentence in which a fault that hurts is as likely as this is not quoted as a good one.
NO_PRAISE = 0.3
#: How much blame takes from respect; what a reply that closes nothing is worth as a close, of one
#: that does; and how likely a close has to look to count as one. Chosen on whole labelled sessions.
BLAME_WEIGHS = 0.4
UNCLOSED = 0.6
CLOSING_SURE = 0.25
#: Faults that hurt; polite emptiness is none of them.
HURTING = ("blaming", "minimising", "talk-of-self", "unasked-advice")
#: An occasion more likely than this is one.
OCCASION_SEEN = 0.5

#: How many of a step's signs are its own; they come first.
OWN_SIGNS = 3


#: A sentence more likely than this meant for somebody else is not read; one that may be, by the
#: second figure, is read twice: with it and without. What the second reading shows counts the more
#: the likelier that is, and in full from the third figure on.
STRANGER = 0.5
DOUBTFUL = 0.15
MUCH_DOUBTED = 0.4
DOUBTFUL_AFTER = 0.01


def judges_occasion(step: Step) -> bool:
    """Whether the judge itself can say if the step is called for."""
    return "kind-no" in step.borrows


@dataclass(frozen=True)
class _Sentence:
    """A sentence of a reply: how far to doubt that it is for the customer, and what it shows."""

    span: Span
    doubt: float
    shows: Values

    @property
    def quotable(self) -> bool:
        """Whether it is short enough to be quoted whole."""
        return self.span.end - self.span.start <= LONGEST_QUOTE


def _against(quote: Quote) -> Quote:
    return quote.model_copy(update={"shows": "against"})


def _worst(trait: str, readings: Sequence[tuple[Values, float]]) -> float:
    """The lowest value of a trait, or a fault's highest, on the way from the first reading.

    The first is the whole reply, or as much of it as the judge can read.
    """
    whole = readings[0][0][trait]
    ways = (whole + counts * (values[trait] - whole) for values, counts in readings)
    return max(ways) if trait in FAULTS else min(ways)


class Reading:
    """What the learned judge makes of one conversation; ``transcript`` has it as it was spoken."""

    def __init__(self, judge: LearnedJudge, transcript: Transcript) -> None:
        self.judge = judge
        turns = transcript.agent_turns()
        self._before = {turn: kept_before(transcript.turns[turn].text) for turn in turns}
        self.transcript = transcript = as_spoken(transcript)
        self.kept = {turn: self._meant_for_the_customer(turn) for turn in turns}
        self.exchanges = {
            turn: self._exchange(turn, [one for one in self.kept[turn] if one.doubt])
            for turn in turns
        }
        self.values = self._read()
        texts = [transcript.turns[turn].text.strip().casefold() for turn in turns]
        again = {
            *near_duplicates([one.reply for one in self.exchanges.values()]),
            *(index for index, text in enumerate(texts) if text in texts[:index]),
        }
        self._repeated = {turns[index] for index in again}
        self._sentences: dict[int, list[tuple[Quote, _Sentence]]] = {}

    def _meant_for_the_customer(self, turn: int) -> list[_Sentence]:
        """A turn's sentences, without those that are meant for somebody else."""
        exchange = exchange_at(self.transcript, turn)
        text = exchange.reply
        spans = [] if text == NOTHING else sentences(text)
        alone = [replace(exchange, reply=folded(span.of(text))) for span in spans]
        strange = self.judge.strange(
            [replace(one, reply=nameless(one.reply, one.customer_name)) for one in alone]
        )
        shown = self.judge.shows(alone)
        kept = [number for number, one in enumerate(strange) if one < STRANGER]
        empty = formulas(text, [spans[number] for number in kept], exchange.heard)
        found = []
        for place, number in enumerate(kept):
            # What follows words for somebody else, and what says nothing, is in doubt as well.
            before = self._before[turn]
            after = (before is not None and number >= before) or any(
                one >= STRANGER for one in strange[:number]
            )
            if place in empty or (after and strange[number] >= DOUBTFUL_AFTER):
                doubt = 1.0
            else:
                doubt = (strange[number] - DOUBTFUL) / (MUCH_DOUBTED - DOUBTFUL)
            found.append(_Sentence(spans[number], min(1.0, max(0.0, doubt)), shown[number]))
        return found

    def _exchange(self, turn: int, left_out: Sequence[_Sentence]) -> Exchange:
        """A turn as the judge reads it, without some of its sentences."""
        whole = exchange_at(self.transcript, turn)
        kept = [one for one in self.kept[turn] if one not in left_out]
        if len(kept) == len(sentences(whole.reply)):
            return replace(whole, reply=folded(whole.reply))
        return replace(whole, reply=folded("\n".join(one.span.of(whole.reply) for one in kept)))

    def _readings(self, turn: int) -> list[tuple[Exchange, float]]:
        """The ways to read a turn, the whole of it first; each with how far it counts, 0 to 1.

        Where no sentence is in doubt there is only the first. Words for somebody else are mostly
        put before or after what was meant for the customer, and drag what stands beside them into
        doubt. So what is in doubt is left out bit by bit, from the end and from the beginning: one
        of these readings is the reply as it was without them.
        """
        doubtful = [one for one in self.kept[turn] if one.doubt]
        number = len(doubtful)
        cuts = [doubtful[at:] for at in range(number, -1, -1)]
        cuts += [doubtful[:at] for at in range(1, number)]
        readings = []
        for cut in cuts:
            one = self._exchange(turn, cut)
            if not one.reply and self.kept[turn]:
                # Nothing beyond doubt is worth no more than a reply that says nothing.
                one = replace(one, reply=NEUTRAL_REPLY)
            readings.append((one, max((sentence.doubt for sentence in cut), default=1.0)))
        return readings

    def _read(self) -> dict[int, Values]:
        """The values of each turn that holds something to read, in a language the judge knows.

        A sentence that may or may not be meant for the customer can take from a reply, and adds the
        less the more it is in doubt: of the readings with and without, the lowest one counts, as
        far as it counts.
        """
        ways = [(turn, *way) for turn in self.exchanges for way in self._readings(turn)]
        read = self.judge.read([one for _, one, _ in ways])
        found: dict[int, list[tuple[Values, float]]] = {}
        for (turn, _, counts), values in zip(ways, read, strict=True):
            if values:
                found.setdefault(turn, []).append((values, counts))
        return {
            turn: {trait: _worst(trait, readings) for trait in readings[0][0]}
            for turn, readings in found.items()
        }

    def learned(self, step: Step) -> dict[int, float]:
        """How near each turn is to the step's highest level, 0 to 1; nothing without `borrows`.

        What was said before in almost the same words counts once.
        """
        if not step.borrows:
            return {}
        turns = [turn for turn in self.values if turn not in self._repeated]
        occasions = {OCCASIONS[trait] for trait in step.borrows if trait in OCCASIONS}
        if "refusing" in occasions:
            # Only the replies in which something is refused say how that was done.
            called_for = [t for t in turns if self.values[t]["refusing"] > OCCASION_SEEN]
            turns = called_for or turns
        found = {}
        for turn in turns:
            good = fmean(self._good(trait, turn) for trait in step.borrows)
            found[turn] = good if step.direction == "higher_is_better" else 1 - good
        return found

    def _good(self, trait: str, turn: int) -> float:
        values = self.values[turn]
        if trait in FAULTS:
            return 1 - values[trait]
        if trait == "respect":
            # Blame is what takes a customer's dignity first, whatever polite words surround it.
            return max(0.0, values[trait] - BLAME_WEIGHS * self._blamed(turn))
        if trait == "close":
            # A last reply that closes nothing was no good close, however kind it is.
            closing = min(1.0, values["closing"] / CLOSING_SURE)
            return values[trait] * (UNCLOSED + (1 - UNCLOSED) * closing)
        return values[trait]

    def applies(self, step: Step) -> float | None:
        """How likely the step is called for at all; None when the judge cannot say."""
        if not judges_occasion(step) or not self.values:
            return None
        return max(values["refusing"] for values in self.values.values())

    def signs(self, step: Step, learned: Mapping[int, float], value: float | None) -> list[float]:
        """What a head weighs: first the step's own three signs, then those of every step.

        The step's own are what the judge says of the session, the mean of what it says of the
        turns, and how many of the turns the step's detectors find something in, less those in
        which they find a fault.
        """
        found = [detect(one, features.DETECTORS) for one in self.exchanges.values()]

        def rate(names: Iterable[str]) -> float:
            wanted = sorted(set(names))
            if not wanted:
                return 0.0
            return fmean(fmean(float(name in one) for name in wanted) for one in found)

        signals: dict[str, list[str]] = {"for": [], "against": []}
        for check in step.checks:
            signals[check.counts] += check.signals
        traits = [
            fmean([values[trait] for values in self.values.values()] or [0.0])
            for trait in (*STEP_TRAITS, *FAULTS)
        ]
        return [
            value if value is not None else 0.0,
            fmean(learned.values()) if learned else 0.0,
            rate(signals["for"]) - rate(signals["against"]),
            *traits,
            *(rate([name]) for name in features.DETECTORS),
        ]

    def quote(
        self, step: Step, learned: Mapping[int, float], quoted: Collection[Quote] = ()
    ) -> Quote | None:
        """The sentence that shows a step best, if one does clearly enough.

        It is looked for in the turns that count: how likely a sentence shows the step weighs most,
        then how far its turn reaches it (``learned``), and whether it was ``quoted`` before.
        """
        traits = [trait for trait in step.borrows if trait in STEP_TRAITS]
        if not traits or not learned:
            return None
        turns = [max(learned)] if step.counted_turns == "last" else sorted(learned)
        little = max(learned.values()) <= LITTLE
        least = LEAST_LIKELY_FOR_LITTLE if little else LEAST_LIKELY
        likely = [
            (value * sqrt(learned[turn]) * (QUOTED_ALREADY if quote in quoted else 1), quote)
            for turn in turns
            for quote, one in self._sentences_of(turn)
            if one.quotable
            and (value := max(one.shows[trait] for trait in traits)) >= least
            and not self._hurts(turn, one.shows)
            and _against(quote) not in self._insults
        ]
        return max(likely, key=lambda one: one[0], default=(0.0, None))[1]

    def faults(self, step: Step) -> list[Quote]:
        """The sentences with a fault that the step borrows, or against dignity; the worst first.

        Where insults or blame spoil the step, they are those that insult or blame.
        """
        if self.spoils(step):
            # One is quoted in any case; the others have to show it as clearly as any fault.
            first = self._insults or self._ranked(["blaming"], BLAME_QUOTED)[:1]
            return list(dict.fromkeys([*first, *self._ranked(["blaming"], FAULT_SEEN)]))
        wanted = [trait for trait in step.borrows if trait in FAULTS]
        if "respect" in step.borrows:
            wanted += ["blaming", "minimising"]
            return list(dict.fromkeys([*self._insults, *self._ranked(wanted, FAULT_SEEN)]))
        return self._ranked(wanted, FAULT_SEEN)

    def spoils(self, step: Step) -> bool:
        """Whether the customer is insulted or plainly blamed, in words that can be quoted.

        That is the lowest level of a step about respect that can fail a session outright. Where
        the other replies are kind, the blame has to be plainer.
        """
        if step.auto_fail_below is None or "respect" not in step.borrows:
            return False
        if self._insults:
            return True
        if not self._ranked(["blaming"], BLAME_QUOTED):
            return False
        innocent = prod(1 - self._blamed(turn) for turn in self.values)
        dignity = fmean(values["respect"] for values in self.values.values())
        return 1 - innocent >= PLAIN_BLAME + SURER_OF_THE_KIND * dignity

    def _blamed(self, turn: int) -> float:
        """How likely a turn blames the customer, by its words and by one sentence of them."""
        return max((likely for likely, _ in self._faults(turn, ["blaming"])), default=0.0)

    def _ranked(self, faults: Sequence[str], least: float) -> list[Quote]:
        """The sentences that show one of the faults clearly enough, the clearest first."""
        rated = [one for turn in self.values for one in self._faults(turn, faults)]
        found = sorted((one for one in rated if one[0] >= least), key=lambda one: -one[0])
        return list(dict.fromkeys(_against(quote) for _, quote in found))

    def _faults(self, turn: int, faults: Sequence[str]) -> list[tuple[float, Quote]]:
        """Each sentence of a turn with how likely it is one of the faults."""
        return [
            (both_show(self.values[turn][fault], one.shows[fault]), quote)
            for quote, one in self._sentences_of(turn)
            for fault in faults
        ]

    def _hurts(self, turn: int, values: Values) -> bool:
        """Whether a sentence of a turn shows a fault that hurts, by itself or in its reply."""
        return any(
            values[trait] >= FAULT_SEEN
            or both_show(self.values[turn][trait], values[trait]) >= NO_PRAISE
            for trait in HURTING
        )

    @cached_property
    def _insults(self) -> list[Quote]:
        """The sentences that insult the customer, whoever else they may be meant for."""
        return [
            _against(quote)
            for turn in self.exchanges
            for span in sentences(self.transcript.turns[turn].text)
            if (quote := self._quote(turn, span)) and INSULTS.find(folded(quote.quote))
        ]

    def _quote(self, turn: int, span: Span) -> Quote | None:
        """A sentence, or as many of its first words as can be quoted; verified to stand there."""
        words = span.of(self.transcript.turns[turn].text)
        if len(words) > LONGEST_QUOTE:
            words = words[:LONGEST_QUOTE].rsplit(maxsplit=1)[0]
        quote = Quote(turn=turn, quote=words)
        return quote if stands_verbatim(quote, self.transcript) else None

    def _sentences_of(self, turn: int) -> list[tuple[Quote, _Sentence]]:
        """The sentences of a turn that are read, each with how it is quoted."""
        if turn not in self._sentences:
            self._sentences[turn] = [
                (quote, one) for one in self.kept[turn] if (quote := self._quote(turn, one.span))
            ]
        return self._sentences[turn]
