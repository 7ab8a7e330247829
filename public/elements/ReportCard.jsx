import { Button } from "@/components/ui/button";
import { Card } from "@/components/ui/card";
import { useState } from "react";

const goToTurn = (id) => {
  const step = document.getElementById(`step-${id}`);
  if (!step) return;
  step.scrollIntoView({ behavior: "smooth", block: "center" });
  step.classList.remove("wl-flash");
  void step.offsetWidth;
  step.classList.add("wl-flash");
};

const Quote = ({ quote }) => (
  <button
    type="button"
    className="block w-full text-left border-l-4 border-primary pl-3 py-1 my-2 italic hover:bg-accent rounded-r focus-visible:outline focus-visible:outline-2"
    onClick={() => goToTurn(quote.turn_id)}
    aria-label={`Go to your reply ${quote.reply}: ${quote.quote}`}
    title="Show it in the conversation"
    data-quote={quote.quote}
  >
    “{quote.quote}” <span className="not-italic text-sm text-muted-foreground">your reply {quote.reply}</span>
  </button>
);

const Level = ({ step }) => {
  if (step.status !== "graded") {
    return (
      <span className="text-sm font-medium text-muted-foreground whitespace-nowrap">
        {step.status === "unclear" ? "Unclear" : "Not needed here"}
      </span>
    );
  }
  const full = step.highest - step.lowest;
  const part = Math.round((100 * (step.level - step.lowest)) / full);
  return (
    <span className="flex items-center gap-2 whitespace-nowrap">
      <span className="h-2 w-16 rounded bg-muted overflow-hidden" aria-hidden="true">
        <span className="block h-full bg-primary" style={{ width: `${Math.max(part, 4)}%` }} />
      </span>
      <span className="text-sm font-semibold">
        {step.level} of {step.highest}
      </span>
    </span>
  );
};

const Step = ({ step }) => (
  <li className="py-3 border-t border-border" data-step={step.id} data-status={step.status}>
    <div className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1">
      <h3 className="font-semibold">{step.name}</h3>
      <Level step={step} />
    </div>
    <p className="text-sm mt-1">{step.status === "graded" ? step.means : step.reason}</p>
    {step.evidence.map((quote) => (
      <Quote key={`${quote.turn_id}-${quote.quote}`} quote={quote} />
    ))}
  </li>
);

// The report card: what went well, the one next thing, the total, and every step with its words.
export default function ReportCard() {
  const [busy, setBusy] = useState("");
  const { coaching } = props;

  const go = async (name) => {
    setBusy(name);
    const result = await callAction({ name, payload: { session_id: props.session_id } });
    if (result && result.success !== false) window.location.assign("/");
    else setBusy("");
  };

  return (
    <Card className="w-full p-4 sm:p-6 text-base leading-relaxed" data-report={props.session_id}>
      <h2 className="text-xl font-semibold">{props.heading}</h2>
      <p className="mt-1">{props.summary}</p>
      {props.total !== null && (
        <p className="mt-3 flex items-baseline gap-3" data-total={props.total}>
          <span className="text-4xl font-bold">{props.total}</span>
          <span className="text-muted-foreground">
            of 100 · the mark to reach is {props.pass_mark}
          </span>
        </p>
      )}
      {props.failed_by.map((line) => (
        <p key={line} className="mt-2 font-medium">
          {line}
        </p>
      ))}

      {coaching.strengths.length > 0 && (
        <section className="mt-5">
          <h2 className="text-lg font-semibold">What you did well</h2>
          {coaching.strengths.map((strength) => (
            <div key={strength.step} className="mt-2">
              <p className="font-medium">{strength.name}</p>
              <Quote quote={strength.quote} />
              <p className="text-sm">{strength.means}</p>
            </div>
          ))}
        </section>
      )}

      {coaching.next_step && (
        <section className="mt-5" data-next={coaching.next_step.step}>
          <h2 className="text-lg font-semibold">The one thing to work on next</h2>
          <p className="mt-1 font-medium">{coaching.next_step.name}</p>
          <p className="mt-1">{coaching.next_step.why}</p>
          <p className="mt-1">{coaching.next_step.moment}</p>
        </section>
      )}

      {coaching.rewrite && (
        <section className="mt-5" data-rewrite>
          <h2 className="text-lg font-semibold">One reply, another way</h2>
          <p className="mt-1 text-sm text-muted-foreground">You wrote</p>
          <Quote quote={coaching.rewrite.quote} />
          <p className="mt-1 text-sm text-muted-foreground">It could say</p>
          <p className="border-l-4 border-border pl-3 py-1 my-2">{coaching.rewrite.rewritten}</p>
          <p className="text-sm">{coaching.rewrite.reason}</p>
        </section>
      )}

      <section className="mt-5">
        <h2 className="text-lg font-semibold mb-2">Step by step</h2>
        <ul>
          {props.steps.map((step) => (
            <Step key={step.id} step={step} />
          ))}
        </ul>
      </section>

      <p className="mt-4 text-sm text-muted-foreground">{props.trust}</p>
      <div className="mt-5 flex flex-wrap gap-3">
        <Button disabled={Boolean(busy)} onClick={() => go("practise_again")}>
          Practise again
        </Button>
        <Button variant="outline" disabled={Boolean(busy)} onClick={() => go("another_customer")}>
          Another customer
        </Button>
      </div>
    </Card>
  );
}
