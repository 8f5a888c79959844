// Elements of a page, made in a line.

/** An element with properties and children; a child that is false is left out. */
export function make(tag, properties = {}, children = []) {
  const element = Object.assign(document.createElement(tag), properties);
  if (properties.role) element.setAttribute("role", properties.role);
  element.append(...children.filter(Boolean));
  return element;
}

let labels = 0;

/** A part with its words before or after it. */
export function label(text, part, where = "before") {
  part.id = `playground-part-${(labels += 1)}`;
  const words = make("label", { htmlFor: part.id }, [text]);
  return make("div", { className: `labelled ${where}` }, where === "before" ? [words, part] : [part, words]);
}

/** A list to choose from, of values and their texts. */
export function select(options) {
  const part = make("select");
  fill(part, options);
  return part;
}

/** Give a list other choices. */
export function fill(part, options) {
  part.replaceChildren(...options.map(([value, text]) => make("option", { value }, [text])));
}

/** Bytes in words. */
export function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}
