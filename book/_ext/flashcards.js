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
        <button type="button" data-do="open" aria-pressed="false">Only those I do not know yet</button>
        <button type="button" data-do="shuffle">Shuffle</button>
        <span class="practice-count"></span>
      </div>
      <div class="practice-card">
        <div class="practice-side practice-question"><p></p></div>
        <div class="practice-side practice-answer">
          <p class="practice-asked"></p><p></p><p class="practice-where"></p>
        </div>
      </div>
      <div class="practice-bar practice-known">
        <button type="button" data-do="not">Not yet</button>
        <button type="button" data-do="knew">I knew it</button>
      </div>
      <div class="practice-bar">
        <button type="button" data-do="back" aria-label="Card before">&#8592;</button>
        <button type="button" data-do="flip" class="practice-flip"></button>
        <button type="button" data-do="on" aria-label="Next card">&#8594;</button>
      </div>
      <p class="practice-tally"><span></span> <button type="button" data-do="forget">Begin anew</button></p>
      <p class="practice-keys">With the keyboard: tab to the middle button. Space turns the card, the arrow keys go back and on, y and n say that you knew it or did not.</p>
      <p class="practice-status" role="status"></p>
    </section>`;

  const root = place.firstElementChild;
  const find = (selector) => root.querySelector(selector);
  const [question, answer] = root.querySelectorAll(".practice-side");
  const [asked, answered, where] = answer.children;
  const flipButton = find("[data-do=flip]");
  const select = find("select");
  let order = cards;
  let at = 0;
  let turned = false;
  let openOnly = false;

  // What the reader knew stays in this browser, by the name of each card.
  const SHELF = "course-flashcards-known";
  let known = new Set();
  try {
    known = new Set(JSON.parse(localStorage.getItem(SHELF) ?? "[]"));
  } catch {
    // No shelf, or nothing that can be read on it: begin with an empty one.
  }
  const keep = () => {
    try {
      localStorage.setItem(SHELF, JSON.stringify([...known]));
    } catch {
      // The browser keeps nothing: it counts until the page is left.
    }
  };

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
    for (const name of ["not", "knew"]) find(`[data-do=${name}]`).disabled = !turned;
  };

  const tally = () => {
    const chosen = cards.filter(isChosen);
    const count = chosen.filter((card) => known.has(card.dataset.key)).length;
    find(".practice-tally span").textContent = `You knew ${count} of ${chosen.length}.`;
    find("[data-do=forget]").hidden = count === 0;
  };

  const show = (index) => {
    tally();
    root.classList.toggle("practice-done", order.length === 0);
    if (order.length === 0) {
      question.firstElementChild.textContent = "You knew them all. Come back in a week, and begin anew.";
      find(".practice-count").textContent = "no card left";
      turn(false);
      return;
    }
    at = (index + order.length) % order.length;
    const [front, back] = order[at].children;
    copy(front, question.firstElementChild);
    copy(front, asked);
    copy(back, answered);
    copy(order[at].querySelector(".flashcard-where"), where);
    find(".practice-count").textContent =
      `card ${at + 1} of ${order.length}, chapter ${order[at].dataset.chapter}`;
    // The old answer must not be seen while the new card turns back.
    root.querySelectorAll(".practice-side").forEach((side) => (side.style.transition = "none"));
    turn(false);
    root.offsetWidth;
    root.querySelectorAll(".practice-side").forEach((side) => (side.style.transition = ""));
  };

  const isChosen = (card) => !select.value || card.dataset.chapter === select.value;
  const choose = () => {
    order = cards.filter((card) => isChosen(card) && !(openOnly && known.has(card.dataset.key)));
    show(0);
  };

  const answerWith = (knew) => {
    if (!turned) return;
    known[knew ? "add" : "delete"](order[at].dataset.key);
    keep();
    if (openOnly && knew) order = order.filter((card) => card !== order[at]);
    else at += 1;
    show(at % Math.max(order.length, 1));
    flipButton.focus({ preventScroll: true });
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
    knew: () => answerWith(true),
    not: () => answerWith(false),
    open: () => {
      openOnly = !openOnly;
      find("[data-do=open]").setAttribute("aria-pressed", openOnly);
      choose();
    },
    forget: () => {
      cards.filter(isChosen).forEach((card) => known.delete(card.dataset.key));
      keep();
      choose();
    },
  };
  for (const [name, act] of Object.entries(acts)) find(`[data-do=${name}]`).onclick = act;
  find(".practice-card").onclick = (event) => {
    if (event.target.closest("a") || order.length === 0) return;
    acts.flip();
    flipButton.focus({ preventScroll: true });
  };
  select.onchange = choose;

  // Enter and space press the button that has the focus; the arrows work from every button.
  root.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: acts.back, ArrowRight: acts.on, y: acts.knew, n: acts.not };
    const act = keys[event.key];
    if (!act || order.length === 0 || event.target === select || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act();
  });

  // Formulas first, so that copies are of what is seen.
  document.addEventListener("DOMContentLoaded", () => {
    const ready = window.MathJax?.startup?.promise ?? Promise.resolve();
    ready.catch(() => {}).then(choose);
  });
})();
