import { Button } from "@/components/ui/button";
import { Card, CardContent, CardFooter, CardHeader, CardTitle } from "@/components/ui/card";
import { useState } from "react";

// The customers to choose from: who, how hard, and what the case is.
export default function PersonaPicker() {
  const [chosen, setChosen] = useState("");
  const [problem, setProblem] = useState("");

  const choose = async (id) => {
    setChosen(id);
    setProblem("");
    const result = await callAction({ name: "choose_persona", payload: { persona_id: id } });
    if (!result || result.success === false) {
      setChosen("");
      setProblem("That did not start. Please try again.");
    }
  };

  return (
    <div className="w-full">
      <div className="grid gap-4 sm:grid-cols-2" role="list">
        {props.personas.map((persona) => (
          <Card key={persona.id} role="listitem" className="flex flex-col" data-persona={persona.id}>
            <CardHeader className="pb-2">
              <CardTitle className="text-lg leading-snug">{persona.name}</CardTitle>
              <p className="font-medium">{persona.title}</p>
              <p className="text-sm text-muted-foreground">
                {persona.sector}
                {" · "}
                <span aria-hidden="true">
                  {"●".repeat(persona.difficulty)}
                  {"○".repeat(5 - persona.difficulty)}
                </span>{" "}
                {persona.difficulty_word}
              </p>
            </CardHeader>
            <CardContent className="flex-1 text-sm leading-relaxed">
              <p>{persona.situation}</p>
            </CardContent>
            <CardFooter>
              <Button
                disabled={Boolean(chosen)}
                onClick={() => choose(persona.id)}
                aria-label={`Start with ${persona.name}`}
              >
                {chosen === persona.id ? "Starting…" : "Start"}
              </Button>
            </CardFooter>
          </Card>
        ))}
      </div>
      {problem && (
        <p role="alert" className="mt-3 text-sm">
          {problem}
        </p>
      )}
      <p className="mt-4 text-sm text-muted-foreground">{props.engine}</p>
    </div>
  );
}
