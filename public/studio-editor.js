// The file view: CodeMirror over the textarea that is sent. It lives in a shadow root, where its
// styles are sheets made by script, so that the pages' policy can go on forbidding inline styles.

import * as cm from "/public/vendor/codemirror.js";

const colours = cm.EditorView.theme({
  "&": {
    color: "var(--foreground)",
    backgroundColor: "var(--card)",
    border: "1px solid var(--border)",
    borderRadius: "0.4rem",
    maxHeight: "75vh",
    fontSize: "0.9rem",
  },
  "&.cm-focused": { outline: "3px solid var(--primary)", outlineOffset: "2px" },
  ".cm-scroller": { fontFamily: "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" },
  ".cm-content": { caretColor: "var(--foreground)" },
  ".cm-gutters": { backgroundColor: "var(--accent)", color: "var(--muted)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": {
    backgroundColor: "color-mix(in srgb, var(--primary) 9%, transparent)",
  },
  ".cm-panels": { backgroundColor: "var(--accent)", color: "var(--foreground)" },
  ".cm-textfield": { backgroundColor: "var(--card)", color: "var(--foreground)" },
  ".cm-button": {
    backgroundImage: "none",
    backgroundColor: "var(--card)",
    color: "var(--foreground)",
  },
  ".cm-tooltip": {
    backgroundColor: "var(--card)",
    color: "var(--foreground)",
    border: "1px solid var(--border)",
  },
  ".cm-diagnostic": { whiteSpace: "pre-wrap" },
  // Marks of letters and lines, where the component has pictures that the policy does not let in.
  ".cm-lint-marker-error": { content: "normal", textAlign: "center", color: "var(--danger)" },
  ".cm-lint-marker-error::before": { content: "'!'", fontWeight: "700" },
  ".cm-lintRange-error": {
    backgroundImage: "none",
    textDecoration: "underline wavy var(--danger)",
    textUnderlineOffset: "3px",
  },
});

const words = cm.HighlightStyle.define([
  {
    tag: [cm.tags.propertyName, cm.tags.definition(cm.tags.propertyName)],
    color: "var(--primary)",
    fontWeight: "600",
  },
  {
    tag: [cm.tags.comment, cm.tags.lineComment, cm.tags.meta],
    color: "var(--muted)",
    fontStyle: "italic",
  },
]);

export function mount(place, textarea, changed) {
  const root = place.attachShadow({ mode: "open" });
  const view = new cm.EditorView({
    root,
    parent: root,
    state: cm.EditorState.create({
      doc: textarea.value,
      extensions: [
        cm.lineNumbers(),
        cm.lintGutter(),
        cm.history(),
        cm.drawSelection(),
        cm.highlightActiveLine(),
        cm.highlightActiveLineGutter(),
        cm.bracketMatching(),
        cm.indentUnit.of("  "),
        cm.yaml(),
        cm.syntaxHighlighting(words),
        cm.search(),
        // Tab is left to the page, so that nobody is caught in here who uses the keyboard only.
        cm.keymap.of([...cm.defaultKeymap, ...cm.historyKeymap, ...cm.searchKeymap]),
        cm.EditorView.lineWrapping,
        cm.EditorView.contentAttributes.of({ "aria-label": "The file (YAML)" }),
        colours,
        cm.EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          textarea.value = view.state.doc.toString();
          changed();
        }),
      ],
    }),
  });
  const lineAt = (number) =>
    view.state.doc.line(Math.min(Math.max(number, 1), view.state.doc.lines));
  return {
    mark(problems) {
      const diagnostics = problems
        .filter((one) => one.line)
        .map((one) => {
          const { from, to } = lineAt(one.line);
          return { from, to, severity: "error", message: one.words };
        })
        .sort((one, other) => one.from - other.from);
      view.dispatch(cm.setDiagnostics(view.state, diagnostics));
    },
    goTo(number) {
      const { from } = lineAt(number);
      view.dispatch({
        selection: { anchor: from },
        effects: cm.EditorView.scrollIntoView(from, { y: "center" }),
      });
      view.focus();
    },
  };
}
