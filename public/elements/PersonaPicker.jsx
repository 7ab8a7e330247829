import { useState } from "react";

// The customers to choose from: who, how hard, and what the case is.
export default function PersonaPicker() {
  const [chosen, setChosen] = useState("");
  const [problem, setProblem] = useState("");

  // From easy to hard, as they come.
  const levels = [...new Set(props.personas.map((persona) => persona.difficulty))];

  const choose = async (id) => {
    setChosen(id);
    setProblem("");
    try {
      const result = await callAction({ name: "choose_persona", payload: { persona_id: id } });
      if (!result || result.success === false) throw new Error("refused");
    } catch {
      setChosen("");
      setProblem("That did not start. Please try again, or reload the page.");
    }
  };

  return (
    <div style={{ width: "100%" }}>
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
