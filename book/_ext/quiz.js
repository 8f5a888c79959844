// The quiz. Its questions are the cards of the page that have wrong answers beside the right one.
// Each choice says why it is right or wrong; nothing is sent or kept.
(() => {
  "use strict";
  const place = document.getElementById("flashcards-quiz");
  if (!place) return;
  const cards = [...document.querySelectorAll("details.flashcard")].filter((card) =>
    card.querySelector(".flashcard-wrong"));
  const chapters = [...new Set(cards.map((card) => card.dataset.chapter))];

  place.innerHTML = `
    <section class="quiz" aria-label="Quiz, one question at a time">
      <div class="practice-bar">
        <label>Quiz of <select>
          ${chapters.map((n) => `<option value="${n}">chapter ${n}</option>`).join("")}
        </select></label>
        <span class="practice-count"></span>
      </div>
      <p class="quiz-question"></p>
      <div class="quiz-choices" role="group" aria-label="Choices"></div>
      <div class="quiz-reason" role="status"></div>
      <div class="practice-bar"><button type="button" class="quiz-next" hidden>Next question</button></div>
    </section>`;

  const root = place.firstElementChild;
  const find = (selector) => root.querySelector(selector);
  const [asked, choices, reason, next] =
    [".quiz-question", ".quiz-choices", ".quiz-reason", ".quiz-next"].map(find);
  const select = find("select");
  let questions = [];
  let at = 0;
  let right = 0;

  const copy = (from, into) =>
    into.append(...[...from.childNodes].map((node) => node.cloneNode(true)));

  const shuffled = (list) => {
    const order = [...list];
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    return order;
  };

  const choicesOf = (card) => [
    { says: card.querySelector(".flashcard-answer"), because: null },
    ...[...card.querySelectorAll(".flashcard-wrong")].map((wrong) => ({
      says: wrong.querySelector(".flashcard-says"),
      because: wrong.querySelector(".flashcard-because"),
    })),
  ];

  // The first choice counts; after a wrong one the others can still be tried.
  const take = (button, choice, card, first) => {
    const hit = choice.because === null;
    button.classList.add(hit ? "quiz-right" : "quiz-wrong");
    button.disabled = true;
    reason.replaceChildren(document.createElement("p"));
    const words = reason.firstElementChild;
    words.append(hit ? "Right. " : "No. ");
    if (!hit) return copy(choice.because, words);
    if (first.value) right += 1;
    copy(card.querySelector(".flashcard-where"), words);
    choices.querySelectorAll("button").forEach((other) => (other.disabled = true));
    next.hidden = false;
    next.textContent = at + 1 < questions.length ? "Next question" : "See how you did";
    next.focus({ preventScroll: true });
  };

  const ask = () => {
    const card = questions[at];
    const first = { value: true };
    find(".practice-count").textContent = `question ${at + 1} of ${questions.length}`;
    asked.replaceChildren();
    copy(card.querySelector("summary"), asked);
    reason.replaceChildren();
    next.hidden = true;
    choices.replaceChildren(...shuffled(choicesOf(card)).map((choice) => {
      const button = document.createElement("button");
      button.type = "button";
      copy(choice.says, button);
      button.onclick = () => {
        take(button, choice, card, first);
        first.value = false;
      };
      return button;
    }));
  };

  const end = () => {
    find(".practice-count").textContent = "";
    asked.textContent = `${right} of ${questions.length} at the first try.`;
    choices.replaceChildren();
    reason.replaceChildren();
    next.textContent = "Once more";
  };

  const begin = () => {
    questions = shuffled(cards.filter((card) => card.dataset.chapter === select.value));
    [at, right] = [0, 0];
    ask();
  };

  next.onclick = () => {
    at += 1;
    if (at < questions.length) ask();
    else if (at === questions.length) end();
    else begin();
    if (at < questions.length) choices.firstElementChild.focus({ preventScroll: true });
  };
  select.onchange = begin;

  // Formulas first, so that copies are of what is seen.
  document.addEventListener("DOMContentLoaded", () => {
    const ready = window.MathJax?.startup?.promise ?? Promise.resolve();
    ready.catch(() => {}).then(begin);
  });
})();
