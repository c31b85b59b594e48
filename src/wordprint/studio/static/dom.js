// Elements, icons, and what is shown only once it comes into view.

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  play: "M7 4.5v15l12-7.5z",
  stop: "M6 6h12v12H6z",
  whole: "M3 12h2m2-4v8m3.5-12v16m3.5-14v12m3.5-9v6m2.5-3h1",
  remove: "M6 6l12 12M18 6L6 18",
  microphone: "M12 3.5a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0v-5a3 3 0 0 1 3-3zM5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3",
};
const FILLED = new Set(["play", "stop"]);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon", ...(FILLED.has(name) ? ["filled"] : []));
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

export function iconButton(name, label, onclick) {
  return element("button", { type: "button", className: "icon-button", title: label, "aria-label": label, onclick }, icon(name));
}

const waiting = new WeakMap();
const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (!isIntersecting) continue;
    observer.unobserve(target);
    waiting.get(target)();
  }
}, { rootMargin: "200px" });

export function whenSeen(target, action) {
  waiting.set(target, action);
  observer.observe(target);
}

// Asks before something is lost; resolves to whether it may be.
export function confirmed(question) {
  const dialog = document.getElementById("confirm");
  document.getElementById("question").textContent = question;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

// With two decimals, as all similarities are shown.
export const similarity = (value) => value.toFixed(2).replace("-", "−");

export const seconds = (value) => `${value.toFixed(2)} s`;
