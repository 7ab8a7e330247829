import { useState } from "react";

// A longer note of a coach's is shown folded, in characters.
const SHORT_NOTE = 240;

// What is due first, then the customers to choose from: who, how hard, and what the case is.
export default function PersonaPicker() {
  const [chosen, setChosen] = useState("");
  const [problem, setProblem] = useState("");

  // From easy to hard, as they come.
  const levels = [...new Set(props.personas.map((persona) => persona.difficulty))];

  const choose = async (id, payload = { persona_id: id }) => {
    setChosen(id);
    setProblem("");
    try {
      const result = await callAction({ name: "choose_persona", payload });
      if (!result || result.success === false) throw new Error("refused");
    } catch {
      setChosen("");
      setProblem("That did not start. Please try again, or reload the page.");
    }
  };

  return (
    <div style={{ width: "100%" }}>
      {props.due.length > 0 && (
        <section className="wl-group" data-due>
          <h2>Due first</h2>
          <ul className="wl-personas">
            {props.due.map((one) => (
              <li key={one.id} className="wl-persona" data-assignment={one.id}>
                <h3>{one.name}</h3>
                <p className="wl-title">{one.title}</p>
                <p className="wl-muted">
                  <strong>{one.due}</strong> · {one.tries} · {one.pass_mark} of 100 to reach · from{" "}
                  {one.coach}
                </p>
                {one.note && one.note.length <= SHORT_NOTE && <p className="wl-note">{one.note}</p>}
                {one.note.length > SHORT_NOTE && (
                  <details>
                    <summary>A note from {one.coach}</summary>
                    <p className="wl-note">{one.note}</p>
                  </details>
                )}
                {one.playable ? (
                  <button
                    type="button"
                    className="wl-button wl-primary"
                    disabled={Boolean(chosen)}
                    onClick={() => choose(one.id, { assignment_id: one.id })}
                    aria-label={`Start with ${one.name}, ${one.due}`}
                  >
                    {chosen === one.id ? "Starting…" : "Start"}
                  </button>
                ) : (
                  <p>This customer is not here any more. Tell your coach.</p>
                )}
              </li>
            ))}
          </ul>
          <p className="wl-muted">
            <a href="/assignments">All your assignments</a>
          </p>
        </section>
      )}
      {levels.map((level) => (
        <section key={level} className="wl-group">
          <h2>
            {props.personas.find((persona) => persona.difficulty === level).difficulty_word}{" "}
            <span aria-hidden="true" className="wl-muted">
              {"●".repeat(level)}
              {"○".repeat(5 - level)}
            </span>
          </h2>
          <ul className="wl-personas">
            {props.personas
              .filter((persona) => persona.difficulty === level)
              .map((persona) => (
                <li key={persona.id} className="wl-persona" data-persona={persona.id}>
                  <h3>{persona.name}</h3>
                  <p className="wl-title">{persona.title}</p>
                  <p className="wl-muted">{persona.sector}</p>
                  <details>
                    <summary>The case</summary>
                    <p className="wl-situation">{persona.situation}</p>
                  </details>
                  <button
                    type="button"
                    className="wl-button wl-primary"
                    disabled={Boolean(chosen)}
                    onClick={() => choose(persona.id)}
                    aria-label={`Start with ${persona.name}`}
                  >
                    {chosen === persona.id ? "Starting…" : "Start"}
                  </button>
                </li>
              ))}
          </ul>
        </section>
      ))}
      {problem && <p role="alert">{problem}</p>}
      <p className="wl-muted" style={{ marginTop: "1rem" }}>
        {props.engine}
      </p>
    </div>
  );
}
