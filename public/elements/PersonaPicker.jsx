import { useState } from "react";

// The customers to choose from: who, how hard, and what the case is.
export default function PersonaPicker() {
  const [chosen, setChosen] = useState("");
  const [problem, setProblem] = useState("");

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
      <ul className="wl-personas">
        {props.personas.map((persona) => (
          <li key={persona.id} className="wl-persona" data-persona={persona.id}>
            <h3>{persona.name}</h3>
            <p>{persona.title}</p>
            <p className="wl-muted">
              {persona.sector}
              {" · "}
              <span aria-hidden="true">
                {"●".repeat(persona.difficulty)}
                {"○".repeat(5 - persona.difficulty)}
              </span>{" "}
              {persona.difficulty_word}
            </p>
            <p className="wl-situation">{persona.situation}</p>
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
      {problem && <p role="alert">{problem}</p>}
      <p className="wl-muted" style={{ marginTop: "1rem" }}>
        {props.engine}
      </p>
    </div>
  );
}
