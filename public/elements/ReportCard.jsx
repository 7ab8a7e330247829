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
    className={quote.shows === "against" ? "wl-quote wl-against" : "wl-quote"}
    onClick={() => goToTurn(quote.turn_id)}
    title="Show it in the conversation"
    data-quote={quote.quote}
    data-turn={quote.turn_id}
  >
    “{quote.quote}” <span className="wl-muted">
      your reply {quote.reply}
      {quote.shows === "against" ? ", counted against" : ""}
    </span>
  </button>
);

const Level = ({ step }) => {
  if (step.status !== "graded") {
    return (
      <span className="wl-level wl-muted">
        {step.status === "unclear" ? "Unclear" : "Not needed here"}
      </span>
    );
  }
  const part = Math.round((100 * (step.level - step.lowest)) / (step.highest - step.lowest));
  return (
    <span className="wl-level">
      <span className="wl-track" aria-hidden="true">
        <span style={{ width: `${Math.max(part, 4)}%` }} />
      </span>
      {step.level} of {step.highest}
    </span>
  );
};

const Step = ({ step }) => (
  <li className="wl-step" data-step={step.id} data-status={step.status}>
    <div className="wl-step-head">
      <h4>{step.name}</h4>
      <Level step={step} />
    </div>
    {step.changed_by && (
      <p className="wl-changed">
        {step.changed_by} changed this; the machine had said {step.machine}.
      </p>
    )}
    <p>{step.status === "graded" ? step.means : step.reason}</p>
    {step.changed_by && step.status === "graded" && <p>“{step.why}”</p>}
    {step.evidence.map((quote) => (
      <Quote key={`${quote.turn_id}-${quote.quote}`} quote={quote} />
    ))}
  </li>
);

// The report card: the total, what went well, the one next thing, and every step with its words.
export default function ReportCard() {
  const [busy, setBusy] = useState(false);
  const [handedIn, setHandedIn] = useState("");
  const { coaching, assignment } = props;

  const go = async (name) => {
    setBusy(true);
    try {
      await callAction({ name, payload: { session_id: props.session_id } });
      window.location.assign("/");
    } catch {
      setBusy(false);
    }
  };

  const again = async (turn) => {
    setBusy(true);
    try {
      const payload = { session_id: props.session_id, turn };
      const { response } = await callAction({ name: "try_again", payload });
      if (response) window.location.assign(`/thread/${response}`);
    } finally {
      setBusy(false);
    }
  };

  const handIn = async () => {
    setBusy(true);
    try {
      const payload = { session_id: props.session_id };
      const { response } = await callAction({ name: "hand_in", payload });
      if (response) setHandedIn(response);
    } finally {
      setBusy(false);
    }
  };

  return (
    <article className="wl-report" data-report={props.session_id}>
      <h2>{props.heading}</h2>
      <p>{props.summary}</p>
      {props.total !== null && (
        <p className="wl-total" data-total={props.total}>
          <strong>{props.total}</strong>
          <span className="wl-muted">of 100 · the mark to reach is {props.pass_mark}</span>
        </p>
      )}
      {props.failed_by.map((line) => (
        <p key={line} className="wl-failed">
          {line}
        </p>
      ))}

      {assignment && (
        <section data-assignment={assignment.id}>
          <h3>Your assignment</h3>
          <p>{assignment.words}</p>
          <div role="status">{(handedIn || assignment.state) && <p>{handedIn || assignment.state}</p>}</div>
          {assignment.label && !handedIn && (
            <>
              <p>{assignment.means}</p>
              <button
                type="button"
                className="wl-button wl-primary wl-hand-in"
                disabled={busy}
                onClick={handIn}
              >
                {assignment.label}
              </button>
            </>
          )}
          <p className="wl-muted">
            <a href="/assignments">All your assignments</a>
          </p>
        </section>
      )}

      {coaching.strengths.length > 0 && (
        <section data-strengths>
          <h3>What you did well</h3>
          {coaching.strengths.map((strength) => (
            <div key={strength.step}>
              <h4>{strength.name}</h4>
              <Quote quote={strength.quote} />
              <p>{strength.means}</p>
            </div>
          ))}
        </section>
      )}

      {coaching.next_step && (
        <section data-next={coaching.next_step.step}>
          <h3>The one thing to work on next</h3>
          <h4>{coaching.next_step.name}</h4>
          <p>{coaching.next_step.why}</p>
          {coaching.next_step.against && <Quote quote={coaching.next_step.against} />}
          <p>{coaching.next_step.moment}</p>
        </section>
      )}

      {coaching.rewrite && (
        <section data-rewrite>
          <h3>One reply, another way</h3>
          <p className="wl-muted">You wrote</p>
          <Quote quote={coaching.rewrite.quote} />
          <p className="wl-muted">It could say (a suggestion: make it your own)</p>
          <p className="wl-rewrite">{coaching.rewrite.rewritten}</p>
          <p>{coaching.rewrite.reason}</p>
        </section>
      )}

      <section>
        <h3>Step by step</h3>
        <ul className="wl-steps">
          {props.steps.map((step) => (
            <Step key={step.id} step={step} />
          ))}
        </ul>
      </section>

      {props.last_time && (
        <p>
          <a href={props.last_time}>See what you did better than last time</a>
        </p>
      )}
      {props.compare && (
        <p>
          <a href={props.compare}>Compare it with your earlier try</a>
        </p>
      )}
      <details className="wl-again">
        <summary>Try a moment again</summary>
        <p>
          Go back to one of your replies and write it anew. The customer stands where they stood
          then; this conversation stays as it is.
        </p>
        <ol>
          {props.replies.map((reply) => (
            <li key={reply.turn}>
              <span>“{reply.words}”</span>
              <button
                type="button"
                className="wl-button"
                disabled={busy}
                data-again={reply.turn}
                onClick={() => again(reply.turn)}
              >
                Try again from here
              </button>
            </li>
          ))}
        </ol>
      </details>

      <p className="wl-muted">{props.trust}</p>
      <p className="wl-muted">
        <a href="/your-data">See who can read this, share it, or delete it</a>
      </p>
      <div className="wl-actions">
        <button
          type="button"
          className="wl-button wl-primary"
          disabled={busy}
          onClick={() => go("practise_again")}
        >
          Practise again
        </button>
        <button
          type="button"
          className="wl-button"
          disabled={busy}
          onClick={() => go("another_customer")}
        >
          Another customer
        </button>
      </div>
    </article>
  );
}
