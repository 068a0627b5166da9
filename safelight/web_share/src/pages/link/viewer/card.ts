/** A card in place of a picture. It is made of nodes and text alone: names and captions are other people's. */

export interface Card {
  readonly title: string;
  readonly facts: string;
  readonly sentence: string;
  readonly action?: string;
  readonly onaction?: () => void;
}

export function makeCard({ title, facts, sentence, action, onaction }: Card): HTMLElement {
  const card = document.createElement("div");
  card.className = "card";
  card.append(textIn("h2", title));
  if (facts) card.append(textIn("p", facts));
  card.append(textIn("p", sentence));
  if (action && onaction) {
    const button = textIn("button", action);
    button.className = "button";
    button.addEventListener("click", onaction);
    card.append(button);
  }
  return card;
}

function textIn(tag: "h2" | "p" | "button", text: string): HTMLElement {
  const element = document.createElement(tag);
  element.dir = "auto";
  element.textContent = text;
  return element;
}
