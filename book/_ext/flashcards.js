// The practice card. It takes its cards from the page itself, so without this script
// nothing is lost: the questions below it open on a click or a key.
(() => {
  "use strict";
  const place = document.getElementById("flashcards-practice");
  if (!place) return;
  const cards = [...document.querySelectorAll("details.flashcard")];
  const chapters = [...new Set(cards.map((card) => card.dataset.chapter))];

  place.innerHTML = `
    <section class="practice" aria-label="Practise with one card at a time">
      <div class="practice-bar">
        <label>Cards of <select>
          <option value="">all chapters</option>
          ${chapters.map((n) => `<option value="${n}">chapter ${n}</option>`).join("")}
        </select></label>
        <button type="button" data-do="shuffle">Shuffle</button>
        <span class="practice-count"></span>
      </div>
      <div class="practice-card">
        <div class="practice-side practice-question"><p></p></div>
        <div class="practice-side practice-answer">
          <p class="practice-asked"></p><p></p>
        </div>
      </div>
      <div class="practice-bar">
        <button type="button" data-do="back" aria-label="Card before">&#8592;</button>
        <button type="button" data-do="flip" class="practice-flip"></button>
        <button type="button" data-do="on" aria-label="Next card">&#8594;</button>
      </div>
      <p class="practice-keys">With the keyboard: tab to the middle button. Space turns the card, the arrow keys go back and on.</p>
      <p class="practice-status" role="status"></p>
    </section>`;

  const root = place.firstElementChild;
  const find = (selector) => root.querySelector(selector);
  const [question, answer] = root.querySelectorAll(".practice-side");
  const [asked, answered] = answer.children;
  const flipButton = find("[data-do=flip]");
  const select = find("select");
  let order = cards;
  let at = 0;
  let turned = false;

  // A copy of what is on the page: a formula comes along as it was typeset.
  const copy = (from, into) =>
    into.replaceChildren(...[...from.childNodes].map((node) => node.cloneNode(true)));

  const turn = (to) => {
    turned = to;
    for (const [side, away] of [[question, turned], [answer, !turned]]) {
      side.classList.toggle("practice-away", away);
      side.inert = away;
    }
    find(".practice-status").textContent = turned
      ? `Answer: ${answered.textContent}`
      : `Question: ${question.textContent}`;
    flipButton.textContent = turned ? "Back to the question" : "Show the answer";
  };

  const show = (index) => {
    at = (index + order.length) % order.length;
    const [front, back] = order[at].children;
    copy(front, question.firstElementChild);
    copy(front, asked);
    copy(back, answered);
    find(".practice-count").textContent =
      `card ${at + 1} of ${order.length}, chapter ${order[at].dataset.chapter}`;
    // The old answer must not be seen while the new card turns back.
    root.querySelectorAll(".practice-side").forEach((side) => (side.style.transition = "none"));
    turn(false);
    root.offsetWidth;
    root.querySelectorAll(".practice-side").forEach((side) => (side.style.transition = ""));
  };

  const choose = () => {
    order = cards.filter((card) => !select.value || card.dataset.chapter === select.value);
    show(0);
  };

  const shuffle = () => {
    order = [...order];
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [order[i], order[j]] = [order[j], order[i]];
    }
    show(0);
  };

  const acts = {
    flip: () => turn(!turned),
    back: () => show(at - 1),
    on: () => show(at + 1),
    shuffle,
  };
  for (const [name, act] of Object.entries(acts)) find(`[data-do=${name}]`).onclick = act;
  find(".practice-card").onclick = () => {
    acts.flip();
    flipButton.focus({ preventScroll: true });
  };
  select.onchange = choose;

  // Enter and space press the button that has the focus; the arrows work from every button.
  root.addEventListener("keydown", (event) => {
    const act = { ArrowLeft: acts.back, ArrowRight: acts.on }[event.key];
    if (!act || event.target === select || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  // Formulas first, so that copies are of what is seen.
  document.addEventListener("DOMContentLoaded", () => {
    const ready = window.MathJax?.startup?.promise ?? Promise.resolve();
    ready.catch(() => {}).then(choose);
  });
})();
